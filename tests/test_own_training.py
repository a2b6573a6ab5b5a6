"""Training on data of one's own: without anomalies, with few, on images of one value, and after a change."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adcore.config import TrainConfig
from adcore.datasets import load
from adcore.detectors import DETECTORS
from adcore.evaluation.test_scores import score_test
from adcore.train import TrainResult, train
from adcore.train.__main__ import main
from tests.detector_runs import ignore
from tests.own_images import own_folder, stripes, write_images

SMALL: dict[str, Any] = {"width": 2, "latent_size": 4, "epochs": 2, "batch_size": 16, "sampling": "random"}


def trained(name: str, **changes: Any) -> TrainResult:
    config = TrainConfig(**{**SMALL, "dataset": name, **changes})
    return train(config, ignore, data=load(name, "train", image_size=config.image_size))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--width", "2", "--epochs", "1", "--batch-size", "16", "--sampling", "random"])
    out, error = capsys.readouterr()
    return int(str(ended.value.code)), out, error


@pytest.mark.parametrize("detector", ["gan", "vae", "deep-sad", "random"])
def test_without_anomalies_the_score_of_normal_images_takes_the_place_of_auroc(tmp_path: Path, detector: str) -> None:
    result = trained(own_folder(tmp_path, anomaly=0), detector=detector, patience=2)
    assert result.state == "complete"
    last = result.history[-1]
    assert {"val_normal_score_0", "val_normal_score_mean"} <= set(last)
    assert not [name for name in last if "auroc" in name]
    assert all(map(math.isfinite, last.values()))


def test_a_training_without_anomalies_that_diverges_says_so(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = trained(
            own_folder(tmp_path, anomaly=0), learning_rate=1e30, detector="autoencoder", schedule="constant"
        )
    assert result.state == "diverged"


def test_the_command_says_why_there_is_no_auroc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = own_folder(tmp_path, anomaly=0)
    code, out, error = run(capsys, "--dataset", name)
    assert (code, "mean score of normal validation images" in out, "training has no AUROC" in error) == (0, True, True)
    assert "nan" not in out
    code, out, error = run(capsys, "--dataset", name, "--test")
    assert (code, out) == (2, "")
    assert "the test part has no anomalies" in error


def test_all_normal_images_are_used_however_few_the_anomalies(tmp_path: Path) -> None:
    result = trained(own_folder(tmp_path, normal=72, anomaly=18), batch_size=2)
    assert result.images_per_epoch == 2 * 50  # 72 less a sixth for the test part and one for validation


def test_images_of_one_value_have_an_auroc_of_one_half(tmp_path: Path) -> None:
    for kind in ("normal", "anomaly"):
        write_images(tmp_path / kind, np.full((40, 8, 8), 90, np.uint8))
    name = f"folder:{tmp_path}"
    result = trained(name, sampling="kmeans")
    assert result.history[-1]["val_auroc_0"] == 0.5
    config = TrainConfig(**{**SMALL, "dataset": name})
    assert score_test(result.detector, config, load(name, "test")).measured()[0]["auroc"] == 0.5


def test_a_kind_with_too_few_images_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "--dataset", own_folder(tmp_path, 30, 3))
    assert code == 2
    assert "class 1 (anomaly) of the train part has 2 images, expected at least 12" in error


def test_a_checkpoint_is_not_resumed_with_other_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = own_folder(tmp_path / "images")
    flags = ("--dataset", name, "--checkpoint", str(tmp_path / "checkpoint"))
    assert run(capsys, *flags)[0] == 0
    assert run(capsys, *flags)[0] == 0
    for image in sorted((tmp_path / "images" / "normal").iterdir()):
        write_images(tmp_path / "again", stripes(1, standing=True))
        image.write_bytes((tmp_path / "again" / "000.png").read_bytes())
    code, _, error = run(capsys, *flags)
    assert code == 2
    assert "made with other data" in error


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_trains_at_every_size(tmp_path: Path, detector: str, size: int) -> None:
    result = trained(own_folder(tmp_path, 24, 20), detector=detector, image_size=size, epochs=1)
    assert math.isfinite(result.history[-1]["val_auroc_0"])
    assert result.detector.image_size == size
