"""Data without training anomalies: half of the test part's are set apart for validation, and nothing trains on them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, load
from adcore.errors import UserError
from adcore.protocols.definitions import HELD_OUT
from adcore.protocols.held_out import load_part
from adcore.train import train
from adcore.train.__main__ import main
from adcore.train.build import split_train
from adcore.train.image_streams import data_module
from sweeps.engine.machine.data import load_data, load_test_part
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE
from tests.own_images import stripes, write_images

GOOD, DEFECTS = 0, {"crack": 9, "dent": 6, "hole": 1}
SMALL: dict[str, Any] = {"width": 2, "epochs": 1, "batch_size": 8, "images_per_class": None}


@pytest.fixture
def mvtec(tmp_path: Path) -> str:
    """The name of data in the layout of MVTec AD: 24 good images to train on, 10 and some defects in the test part."""
    write_images(tmp_path / "data" / "train" / "good", stripes(24, standing=False))
    write_images(tmp_path / "data" / "test" / "good", stripes(10, standing=False, seed=1))
    for seed, (defect, count) in enumerate(DEFECTS.items(), 2):
        write_images(tmp_path / "data" / "test" / defect, stripes(count, standing=True, seed=seed))
    return f"folder:{tmp_path / 'data'}"


def parts(name: str) -> tuple[ImageDataset, ImageDataset]:
    return load_part(name, "train", HELD_OUT), load_part(name, "test", HELD_OUT)


def pixels(data: ImageDataset, *, of: torch.Tensor | None = None) -> list[bytes]:
    images = data.images if of is None else data.images[of]
    return sorted(image.numpy().tobytes() for image in images)


def test_half_of_each_kind_of_anomaly_moves_and_no_image_is_lost_or_in_both_parts(mvtec: str) -> None:
    train_part, test_part = parts(mvtec)
    names = train_part.class_names
    assert names == ("good", "crack", "dent", "hole")
    assert train_part.labels.bincount(minlength=4).tolist() == [24, 4, 3, 0]
    assert test_part.labels.bincount(minlength=4).tolist() == [10, 5, 3, 1]
    assert not set(pixels(train_part)) & set(pixels(test_part))
    assert sorted(pixels(train_part) + pixels(test_part)) == sorted(
        pixels(load(mvtec, "train")) + pixels(load(mvtec, "test"))
    )
    assert train_part.content_hash != load(mvtec, "train").content_hash
    assert "7 of the test part's anomalies" in "\n".join(train_part.notes)
    assert "keeps 9" in "\n".join(train_part.notes)
    assert "no AUROC" not in "\n".join(train_part.notes)


def test_which_ones_move_depends_on_their_pixels_alone(mvtec: str, tmp_path: Path) -> None:
    before = parts(mvtec)
    for number, path in enumerate(sorted((tmp_path / "data" / "test" / "crack").iterdir(), reverse=True)):
        path.rename(path.with_name(f"other {number}.png"))
    assert [pixels(part) for part in parts(mvtec)] == [pixels(part) for part in before]


def test_arrays_move_like_files(tmp_path: Path) -> None:
    good, bad = stripes(20, standing=False), stripes(8, standing=True, seed=3)
    test = {"test_images": np.concatenate([good[:4], bad]), "test_labels": np.array([0] * 4 + [1] * 8, np.uint8)}
    np.savez(tmp_path / "a.npz", train_images=good, train_labels=np.zeros(20, np.uint8), **test)
    train_part, test_part = parts(f"npz:{tmp_path / 'a.npz'}")
    assert train_part.labels.bincount().tolist() == [20, 4]
    assert test_part.labels.bincount().tolist() == [4, 4]


@pytest.mark.parametrize("changes", [{}, {"fold": 2}, {"validation_images": 8}])
def test_nothing_is_trained_on_an_anomaly_and_all_of_them_validate(mvtec: str, changes: dict[str, Any]) -> None:
    config = TrainConfig(dataset=mvtec, protocol=HELD_OUT, **{**SMALL, **changes})
    train_part, _ = parts(mvtec)
    split = split_train(config, train_part.labels)
    assert set(train_part.labels[split.fit].tolist()) == {GOOD}
    assert not set(split.fit.tolist()) & set(split.validation.tolist())
    validated = train_part.labels[split.validation].bincount().tolist()
    assert validated[1:] == ([3, 2] if "validation_images" in changes else [4, 3])
    module = data_module(train_part, [config], until=1)
    drawn = module.streams[0].draw(0)
    assert set(train_part.labels[drawn.normal].tolist()) == {GOOD}
    assert len(drawn.anomalous) == 0


def test_a_training_reports_auroc_after_each_epoch(mvtec: str) -> None:
    reports: list[dict[str, float]] = []
    config = TrainConfig(dataset=mvtec, protocol=HELD_OUT, **SMALL)
    train(config, reports.append, data=load_part(mvtec, "train", HELD_OUT))
    assert math.isfinite(reports[0]["val_auroc_mean"])


def test_the_command_of_a_training_takes_the_protocol_with_figures(
    mvtec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--dataset", mvtec, "--width", "2", "--epochs", "1", "--batch-size", "8", "--test"]
    with pytest.raises(SystemExit) as ended:
        main([*argv, "--protocol", HELD_OUT, "--figures", str(tmp_path / "figures")])
    out, error = capsys.readouterr()
    assert (ended.value.code, "val AUROC" in out, "test AUROC" in out) == (0, True, True), error
    assert "are validation images" in error
    with pytest.raises(SystemExit) as ended:
        main([*argv, "--figures", str(tmp_path / "others")])
    assert (ended.value.code, "leave --figures out" in capsys.readouterr().err) == (2, True)


def test_a_sweep_takes_the_protocol_by_itself_and_its_plan_says_what_that_means(mvtec: str) -> None:
    settings = SweepSettings(scale="laptop", dataset=mvtec)
    plan = make_plan("gan_loss_weights", settings, SPACE)
    assert (plan.base.protocol, plan.search_config.protocol, plan.protocol) == (HELD_OUT,) * 3
    assert "half of the test part's are for validation" in plan_in_words(plan, settings)
    data, hashes = load_data(plan.dataset_names, plan.parts, settings, plan.image_size, plan.protocol)
    plan.check_data(data)
    assert data[mvtec, "train"].labels.bincount().tolist() == [24, 4, 3]
    test = load_test_part(plan.base, settings, json.loads(json.dumps(hashes)), "own")
    assert test.labels.bincount().tolist() == [10, 5, 3, 1]


@pytest.mark.parametrize("protocol", ["one-class", "paper", "seen-unseen"])
def test_a_sweep_refuses_a_protocol_under_which_there_is_no_auroc(mvtec: str, protocol: str) -> None:
    with pytest.raises(UserError, match="use --protocol held-out"):
        make_plan("gan_loss_weights", SweepSettings(dataset=mvtec, protocol=protocol), SPACE)


def test_data_without_any_anomaly_or_with_one_of_a_kind_are_refused_with_what_to_do(tmp_path: Path) -> None:
    write_images(tmp_path / "none" / "train" / "good", stripes(20, standing=False))
    write_images(tmp_path / "none" / "test" / "good", stripes(5, standing=False))
    for call in (SweepSettings, TrainConfig):
        assert call(dataset=f"folder:{tmp_path / 'none'}")
    with pytest.raises(UserError, match="has no anomalies, so there is no AUROC to compare configurations by; train a"):
        make_plan("gan_loss_weights", SweepSettings(dataset=f"folder:{tmp_path / 'none'}"), SPACE)
    with pytest.raises(UserError, match="has no anomalies"):
        TrainConfig(dataset=f"folder:{tmp_path / 'none'}", protocol=HELD_OUT)
    write_images(tmp_path / "none" / "test" / "dent", stripes(1, standing=True))
    with pytest.raises(UserError, match="no two anomalies of a class"):
        load_part(f"folder:{tmp_path / 'none'}", "train", HELD_OUT)


def test_data_with_training_anomalies_are_told_the_protocol_that_does_the_same() -> None:
    with pytest.raises(UserError, match="--protocol one-class validates on some of them"):
        TrainConfig(dataset="digits", protocol=HELD_OUT)
