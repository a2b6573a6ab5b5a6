"""`python -m adcore.predict` on real images and on models that were trained a moment ago."""

from __future__ import annotations

import csv
import dataclasses
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from adcore.datasets import ImageDataset
from adcore.evaluation.assessment import BEST_F1, assess
from adcore.predict.__main__ import main
from adcore.predict.heatmaps import write_heatmap
from adcore.predict.models import load_model, read_states
from adcore.predict.scoring import score_files
from adcore.train import train
from adcore.train.batch_scores import anomaly_scores
from adcore.train.build import load_detector
from adcore.train.checkpoints import Checkpoints
from tests.detector_runs import config, ignore

Run = Callable[..., SimpleNamespace]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, digits_train: ImageDataset) -> Path:
    """Checkpoints of classes 0 and 3 of digits, with two training seeds, and of other detectors."""
    folder = tmp_path_factory.mktemp("models")
    for name, own in {
        "gan": config("gan"), "gan-1": config("gan", train_seed=1), "autoencoder": config("autoencoder"),
        "svdd": config("deep-svdd"), "mirrored": config("gan", mirrored_scores=True),
    }.items():  # fmt: skip
        train(own, ignore, data=digits_train, checkpoints=Checkpoints(folder / f"{name}.ckpt"))
    return folder


@pytest.fixture
def images(tmp_path: Path, digits_test: ImageDataset) -> Path:
    """Twelve test images of digits as files of several kinds, in a folder with an umlaut in its name."""
    folder = tmp_path / "neue Bilder \N{LATIN SMALL LETTER U WITH DIAERESIS}"
    (folder / "more").mkdir(parents=True)
    for number, (pixels, ending) in enumerate(zip(digits_test.images[:12, 0], ("png", "bmp", "tif") * 4, strict=True)):
        Image.fromarray(pixels.numpy()).save(folder / ("more" if number > 8 else "") / f"{number:02d}.{ending}")
    (folder / "labels.txt").write_text("0 1 2")
    return folder


@pytest.fixture
def ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with a table in a file; its exit code, rows and lines on stderr."""

    def run(*words: object) -> SimpleNamespace:
        table = tmp_path / "scores.csv"
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words), "--csv", str(table)])
        out, error = capsys.readouterr()
        rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
        return SimpleNamespace(code=ended.value.code, rows=rows, out=out, lines=error.splitlines())

    return run


def scores(ran: SimpleNamespace) -> list[float]:
    return [float(row["score"]) for row in ran.rows]


@pytest.mark.parametrize("name", ["gan", "autoencoder", "svdd", "mirrored"])
def test_scores_are_those_of_the_evaluation_whatever_the_files_format(
    name: str, models: Path, images: Path, digits_test: ImageDataset, ran: Run
) -> None:
    found = ran("--model", models / f"{name}.ckpt", "--class", 3, images)
    own, detector = load_detector(models / f"{name}.ckpt", 1)
    expected = anomaly_scores(detector, digits_test.images[:12], mirrored=own.mirrored_scores)[:, 1]
    assert found.code == 0
    assert [Path(row["image"]).stem for row in found.rows] == [f"{number:02d}" for number in range(12)]
    assert scores(found) == pytest.approx(expected.tolist(), rel=1e-5)


def test_decisions_are_those_of_the_assessment(
    models: Path, digits_train: ImageDataset, digits_test: ImageDataset, tmp_path: Path, ran: Run
) -> None:
    own, detector = load_detector(models / "gan.ckpt", 1)
    assessed = assess(detector, own, digits_train, digits_test)[3]
    np.save(tmp_path / "all.npy", digits_test.images[:, 0].numpy())
    found = ran("--model", models / "gan.ckpt", "--class", 3, tmp_path / "all.npy")
    flagged = np.array([row["decision"] == "anomalous" for row in found.rows])
    truth, confusion = assessed.anomalous.numpy(), assessed.decisions[BEST_F1].confusion
    assert load_model(read_states([models / "gan.ckpt"]), "3").threshold == assessed.decisions[BEST_F1].threshold
    assert [[sum(~truth & ~flagged), sum(~truth & flagged)], [sum(truth & ~flagged), sum(truth & flagged)]] == (
        confusion.tolist()
    )


def test_several_seeds_give_the_mean_score_and_the_mean_threshold(models: Path, images: Path, ran: Run) -> None:
    files = models / "gan.ckpt", models / "gan-1.ckpt"
    one, other = (ran("--model", file, "--class", 0, images) for file in files)
    both = ran("--model", files[0], "--model", files[1], "--class", 0, images)
    assert scores(both) == pytest.approx(np.mean([scores(one), scores(other)], 0).tolist(), rel=1e-5)
    singly = [load_model(read_states([file]), "0").threshold for file in files]
    assert load_model(read_states(files), "0").threshold == pytest.approx(np.mean(singly))  # type: ignore[arg-type]
    assert "training seeds 0, 1" in both.lines[0]


def test_a_score_does_not_depend_on_the_other_images_nor_on_the_batch(models: Path, images: Path, ran: Run) -> None:
    together = ran("--model", models / "gan.ckpt", "--class", 0, images)
    alone = ran("--model", models / "gan.ckpt", "--class", 0, images / "05.tif")
    in_fives = ran("--model", models / "gan.ckpt", "--class", 0, images, "--batch-size", 5)
    assert scores(alone) == pytest.approx(scores(together)[5:6], rel=1e-6)
    assert scores(in_fives) == pytest.approx(scores(together), rel=1e-6)


def test_arrays_grey_and_colour_give_the_scores_of_files(
    models: Path, images: Path, digits_test: ImageDataset, tmp_path: Path, ran: Run
) -> None:
    grey = digits_test.images[:12, 0].numpy()
    np.save(tmp_path / "grey.npy", grey)
    np.savez(tmp_path / "colour.npz", images=grey[..., None].repeat(3, 3), labels=np.arange(12))
    given = "--model", models / "gan.ckpt", "--class", 0
    expected = scores(ran(*given, images))
    for name in ("grey.npy", "colour.npz"):
        found = ran(*given, tmp_path / name)
        assert scores(found) == pytest.approx(expected, rel=1e-6), name
        assert found.rows[11]["image"].endswith(f"{name}[11]")


def test_what_cannot_be_read_is_listed_and_the_rest_is_scored(models: Path, images: Path, ran: Run) -> None:
    (images / "cut.png").write_bytes((images / "00.png").read_bytes()[:60])
    (images / "no image.jpg").write_text("text")
    (images / "empty.bmp").touch()
    np.save(images / "floats.npy", np.zeros((2, 8, 8)))
    with zipfile.ZipFile(images / "texts.npz", "w") as archive:
        archive.writestr("notes.txt", "no array")
    np.save(images / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    found = ran("--model", models / "gan.ckpt", "--class", 0, images)
    assert (found.code, len(found.rows)) == (1, 12)
    named = [line for line in found.lines if str(images) in line]
    broken = "cut", "no image", "empty", "floats", "objects", "texts"
    assert len(named) == len(broken)
    assert all(any(name in line for line in named) for name in broken)
    assert found.lines[-1] == "6 not read, 12 images scored"


def test_error_maps_are_written_and_their_mean_is_the_gans_score(models: Path, images: Path, ran: Run) -> None:
    folder = images / "maps"
    found = ran("--model", models / "mirrored.ckpt", "--class", 0, images, "--heatmaps", folder)
    assert [row["heatmap"] for row in found.rows] == [str(path) for path in sorted(folder.iterdir())]
    with Image.open(found.rows[0]["heatmap"]) as first:
        assert first.size == (512, 256)
    model = load_model(read_states([models / "mirrored.ckpt"]), "0")
    pixels = torch.tensor(np.asarray(Image.open(images / "00.png")))[None, None]
    assert 2 * float(model.error_maps(pixels)[1].mean()) == pytest.approx(scores(found)[0], rel=1e-5)


def test_error_maps_beside_those_of_another_run_are_told_of(
    models: Path, images: Path, tmp_path: Path, ran: Run
) -> None:
    words = ["--model", models / "gan.ckpt", "--class", 0, "--heatmaps", tmp_path / "maps"]
    line = f"--heatmaps '{tmp_path / 'maps'}': holds 1 other files, not of this run"
    shutil.copy(images / "00.png", images / "other.png")
    for image, told in (("00.png", False), ("00.png", False), ("other.png", True)):
        assert (line in ran(*words, images / image).lines) == told, image


def test_a_heatmaps_brightness_goes_with_the_errors_square_root(tmp_path: Path) -> None:
    errors = torch.tensor([[0.0, 0.25], [0.81, 1.0]], dtype=torch.float64)
    write_heatmap(tmp_path / "map.png", torch.zeros(1, 2, 2), errors)
    with Image.open(tmp_path / "map.png") as file:
        pixels = np.asarray(file)[::8, 16::8]
    expected = matplotlib.colormaps["magma"](np.array([[0, 0.5], [0.9, 1]]), bytes=True)[..., :3]
    assert pixels.tolist() == expected.tolist()


def test_a_model_of_an_earlier_version_scores_without_decisions(
    models: Path, images: Path, tmp_path: Path, ran: Run
) -> None:
    stored = torch.load(models / "gan.ckpt", weights_only=True)
    for member in stored["adcore"]["members"]:
        del member["decision"]
    torch.save(stored, tmp_path / "old.ckpt")
    found = ran("--model", tmp_path / "old.ckpt", "--class", 0, images)
    assert {row["decision"] for row in found.rows} == {""}
    assert "no decisions" in found.lines[0]
    middle = sorted(scores(found))[6]
    found = ran("--model", tmp_path / "old.ckpt", "--class", 0, images, "--threshold", repr(middle))
    assert [row["decision"] for row in found.rows].count("anomalous") == 6
    found = ran("--model", tmp_path / "old.ckpt", "--class", 0, images, "--false-positive-rate", 0.1)
    assert (found.code, len(found.lines)) == (2, 1)
    assert "earlier version" in found.lines[0]


def test_a_false_positive_rate_sets_the_threshold(models: Path, images: Path, ran: Run) -> None:
    given = "--model", models / "gan.ckpt", "--model", models / "gan-1.ckpt", "--class", 0, images
    none, many = (ran(*given, "--false-positive-rate", rate) for rate in (0, 0.9))
    assert "(at most 0 % false positives on 6 normal validation images, of which it flags 0;" in none.lines[0]
    assert "of which it flags 5;" in many.lines[0]
    flagged = [[row["decision"] for row in found.rows].count("anomalous") for found in (none, many)]
    assert flagged[0] < flagged[1]
    assert scores(none) == scores(many)


def test_an_image_at_the_threshold_is_anomalous_though_its_score_is_printed_with_fewer_digits(
    models: Path, images: Path, ran: Run
) -> None:
    (image,) = score_files(load_model(read_states([models / "gan.ckpt"]), "0"), [images / "00.png"], batch_size=1)[0]
    found = ran("--model", models / "gan.ckpt", "--class", 0, images / "00.png", "--threshold", repr(image.score))
    assert [row["decision"] for row in found.rows] == ["anomalous"]
    assert len(found.rows[0]["score"]) < len(repr(image.score))


def test_bad_models_and_places_are_refused_in_one_line(models: Path, images: Path, tmp_path: Path, ran: Run) -> None:
    gan = models / "gan.ckpt"
    (tmp_path / "half.ckpt").write_bytes(gan.read_bytes()[:4000])
    (tmp_path / "pickled.ckpt").write_bytes(pickle.dumps(SimpleNamespace(a=1)))
    (tmp_path / "none").mkdir()
    (diverged,) = read_states([gan])[:1]
    diverged.history[-1]["val_auroc"] = float("nan")
    Checkpoints(tmp_path / "diverged.ckpt").save([diverged])
    Checkpoints(tmp_path / "other.ckpt").save(
        [dataclasses.replace(each, config=dataclasses.replace(each.config, width=5)) for each in read_states([gan])]
    )
    (later,) = [each for each in read_states([models / "gan-1.ckpt"]) if each.config.classes == (0,)]
    Checkpoints(tmp_path / "later.ckpt").save([dataclasses.replace(later, content="1234")])
    for words, named in (
        (
            ["--model", gan, "--model", tmp_path / "later.ckpt", "--class", "0"],
            "digits as it was at two times",
        ),
        (["--model", tmp_path / "half.ckpt"], "half.ckpt: not a complete checkpoint"),
        (["--model", tmp_path / "pickled.ckpt"], "pickled.ckpt: not a checkpoint"),
        (["--model", tmp_path / "diverged.ckpt"], "diverged"),
        (["--model", tmp_path / "other.ckpt", "--class", "0"], "weights of another network"),
        (["--model", gan, "--model", tmp_path / "other.ckpt", "--class", "0"], "width: 4 and 5"),
        (["--model", gan, "--model", gan, "--class", "0"], "training seed 0 is given twice"),
        (["--model", tmp_path / "no.ckpt"], "no.ckpt': no such file"),
        (["--model", tmp_path / "none"], "no *.ckpt file"),
        (["--model", gan], "classes 0, 3; choose one"),
        (["--model", gan, "--class", "Shirt"], "--class 'Shirt'"),
        (["--model", gan, "--class", "4"], "--class 4"),
        (["--model", gan, "--class", "0", tmp_path / "none"], "no image in this folder"),
        (["--model", gan, "--class", "0", tmp_path / "gone.png"], "gone.png"),
        (["--model", gan, "--class", "0", "--threshold", "nan"], "--threshold nan"),
        (["--model", gan, "--class", "0", "--batch-size", "0"], "--batch-size"),
        (["--model", gan, "--class", "0", "--false-positive-rate", "5"], "--false-positive-rate 5: expected a share"),
        (["--model", gan, "--class", "0", "--false-positive-rate", "nan"], "--false-positive-rate nan"),
        (["--model", gan, "--class", "0", "--threshold", "1", "--false-positive-rate", "0"], "give one of them"),
        (["--model", models / "svdd.ckpt", "--class", "0", "--heatmaps", tmp_path / "h"], "deep-svdd reconstructs no"),
        ([], "--model"),
    ):
        found = ran(*words, images)
        assert (found.code, found.out, len(found.lines)) == (2, "", 1), (words, found.lines)
        assert found.lines[0].startswith("error: ")
        assert named in found.lines[0]
    assert not (tmp_path / "scores.csv").exists()
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize("flag", ["--csv", "--class", "--heatmaps", "--model"])
def test_an_empty_value_is_refused_by_the_flags_own_name(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--model", "a.ckpt", "a.png", flag, ""])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {flag} '': expected a value; leave {flag} out for its default\n"
