"""The files that show an assessment, and `python -m adcore.train --test --figures`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from adcore.augment import Resampler
from adcore.datasets import ImageDataset
from adcore.evaluation import image_figures
from adcore.evaluation.assessment import assess
from adcore.evaluation.assessment_figures import RECONSTRUCTED, write_auroc_by_class, write_figures
from adcore.networks import IMAGE_SIZE
from adcore.train.__main__ import main
from tests.train_runs import trained


def test_of_scores_that_are_not_finite_only_the_losses_are_left(
    digits_train: ImageDataset, digits_test: ImageDataset, tmp_path: Path
) -> None:
    for name in ("gan", "autoencoder-kde"):
        settings, result = trained(digits_train, name, learning_rate=1e30, schedule="constant")
        found = assess(result.detector, settings, digits_train, digits_test)
        assert [(each.decisions, each.metrics()) for each in found.values()] == [({}, {})] * 2
        written = write_figures(tmp_path / name, found[3], result.detector, digits_test, result.history)
        assert [path.name for path in written] == ["loss_curves.png"]
        assert write_auroc_by_class(tmp_path / name, found) == []


@pytest.mark.parametrize(
    ("detector", "further"),
    [("random", []), ("cnn", ["loss_curves"]), ("vae", ["reconstructions", "loss_curves"])],
)
def test_a_detector_has_the_figures_that_it_can_have_and_they_are_pictures(
    detector: str, further: list[str], digits_train: ImageDataset, digits_test: ImageDataset, tmp_path: Path
) -> None:
    settings, result = trained(digits_train, detector)
    found = assess(result.detector, settings, digits_train, digits_test)
    written = write_figures(tmp_path / "new", found[3], result.detector, digits_test, result.history)
    written += write_auroc_by_class(tmp_path, found)
    assert [path.stem for path in written] == [
        "roc", "confusion_matrix", "score_densities", "scored_images", *further, "auroc_by_class"
    ]  # fmt: skip
    for path in written:
        height, width = imread(path).shape[:2]
        assert 200 < height < 700
        assert 300 < width < 1700
        assert np.ptp(imread(path)[..., :3]) == 1, "black and white: not a blank sheet"
    with pytest.raises(NotADirectoryError):
        write_figures(written[0] / "in a file", found[3], result.detector, digits_test, result.history)


def test_the_command_line_draws_each_class_and_prints_its_decisions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--dataset", "digits", "--classes", "0,4", "--epochs", "1", "--width", "4", "--detector", "cnn", "--test"]
    with pytest.raises(SystemExit) as caught:
        main([*argv, "--figures", str(tmp_path / "plots")])
    assert caught.value.code == 0
    *_, first, second, last = capsys.readouterr().out.splitlines()
    numbers = "  ".join(rf"{name} [01]\.\d{{4}}" for name in ("accuracy", "precision", "recall", "F1", "fpr"))
    for index, line in ((0, first), (4, second)):
        every = r"\(flagging everything: accuracy 0\.\d{4}  F1 0\.\d{4}\)"
        assert re.fullmatch(rf"class {index}, best F1: threshold \S+  {numbers} {every}", line)
        assert len(list((tmp_path / "plots" / f"class-{index}").glob("*.png"))) == 5
    assert last == f"11 figures in {tmp_path / 'plots'}"


def test_reconstructions_are_of_each_class_in_turn_as_the_networks_see_them(
    digits_train: ImageDataset, digits_test: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    draw = image_figures.reconstructions
    monkeypatch.setattr(
        image_figures, "reconstructions", lambda *kinds, title: shown.extend(kinds) or draw(*kinds, title=title)
    )
    settings, result = trained(digits_train, "gan")
    found = assess(result.detector, settings, digits_train, digits_test)
    write_figures(tmp_path, found[3], result.detector, digits_test, result.history)
    plain = (Resampler(8, IMAGE_SIZE, torch.device("cpu")).plain(digits_test.images) + 1) / 2
    own = digits_test.labels == 3
    first = [plain[digits_test.labels == index][0] for index in (0, 1, 2, 4, 5, 6, 7, 8)]
    (normal, output), (anomalous, _) = shown
    assert normal == pytest.approx(plain[own][:8].numpy(), abs=1e-6)
    assert anomalous == pytest.approx(torch.stack(first).numpy(), abs=1e-6)
    # the GAN's score is the mean absolute error in [-1, 1], twice that in [0, 1]
    assert 2 * np.abs(normal - output).mean((1, 2, 3)) == pytest.approx(found[3].scores[own][:8].numpy(), abs=1e-5)


def test_the_images_scored_best_and_worst_are_those_of_the_whole_test_part(
    digits_train: ImageDataset, digits_test: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    draw = image_figures.scored_images
    monkeypatch.setattr(
        image_figures, "scored_images", lambda *kinds, **options: given.extend(kinds) or draw(*kinds, **options)
    )
    settings, result = trained(digits_train, "autoencoder")
    found = assess(result.detector, settings, digits_train, digits_test)[3]
    write_figures(tmp_path, found, result.detector, digits_test, result.history)
    assert [len(images) for images, _ in given] == [2 * RECONSTRUCTED] * 2, "no others are converted"
    pixels, scores = digits_test.images.double().div(255).numpy(), found.scores.double().numpy()
    whole = [(pixels[kind.numpy()], scores[kind.numpy()]) for kind in (~found.anomalous, found.anomalous)]
    expected, drawn = (draw(*kinds, title="", shown=RECONSTRUCTED) for kinds in (whole, given))
    for ours, theirs in zip(drawn.axes, expected.axes, strict=True):
        assert [tick.get_text() for tick in ours.get_xticklabels()] == [
            tick.get_text() for tick in theirs.get_xticklabels()
        ]
        for one, other in zip(ours.images, theirs.images, strict=True):
            assert np.array_equal(np.asarray(one.get_array()), np.asarray(other.get_array()))
