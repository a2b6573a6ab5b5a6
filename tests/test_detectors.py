"""What every detector owes: one contract over all of DETECTORS."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.detector_catalog import ANOMALIES
from adcore.detectors import DETECTORS
from adcore.errors import UserError
from adcore.metrics import METRICS
from adcore.train import TrainResult, train
from adcore.train.build import load_detector
from adcore.train.checkpoints import Checkpoints
from adcore.train.execution import PackModule
from adcore.train.pack import Pack
from tests.detector_runs import config, ignore
from tests.train_runs import InterruptedRunError, comparable, interrupt_after

#: The losses that a detector reports under protocol paper.
LOSSES = {
    "gan": {"reconstruction", "patch", "latent", "adversarial_normal", "adversarial_anomaly", "abc",
            "discriminator_normal", "discriminator_anomaly"},
    "gan-traditional": {"reconstruction"},
    "autoencoder": {"reconstruction"},
    "conv-autoencoder": {"reconstruction"},
    "deep-autoencoder": {"reconstruction"},
    "autoencoder-kde": {"reconstruction"},
    "vae": {"reconstruction", "divergence"},
    "cnn": {"cross_entropy"},
    "cnn-alternative": {"cross_entropy"},
    "deep-svdd": {"distance"},
    "deep-sad": {"distance", "inverse_distance"},
    "ganomaly": {"adversarial", "contextual", "encoder", "discriminator"},
    "random": set(),
}  # fmt: skip
LOSSES |= {"gan-small": LOSSES["gan"], "gan-two-heads": LOSSES["gan"]}

every_detector = pytest.mark.parametrize("name", DETECTORS)
every_trained_detector = pytest.mark.parametrize("name", [name for name in DETECTORS if name != "random"])


def tensors(state: Any) -> dict[str, Tensor]:
    """A state dict, with what stands in nested ones beside the rest."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        found |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return found


def same_state(first: Pack, second: Pack) -> bool:
    ours, theirs = tensors(first.state_dict()), tensors(second.state_dict())
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_detectors_and_their_catalogue_name_the_same_fifteen() -> None:
    assert list(DETECTORS) == list(ANOMALIES)
    assert set(DETECTORS) == set(LOSSES)
    assert len(DETECTORS) == 15
    assert all(issubclass(detector, nn.Module) for detector in DETECTORS.values())
    assert set(ANOMALIES.values()) == {"used", "ignored", "needed"}


@every_detector
def test_settings_and_search_are_fields_of_the_configuration_within_their_range(name: str) -> None:
    detector = DETECTORS[name]
    plain = TrainConfig()
    assert all(hasattr(plain, setting) for setting in detector.config_fields)
    assert bool(detector.search) == (name != "random")
    for setting, (low, high) in detector.search.items():
        assert 0 < low < high
        assert setting in detector.config_fields or (
            setting.startswith("weight_") and "weights" in detector.config_fields
        )
        assert {getattr(config(name, **{setting: value}), setting) for value in (low, high)} == {low, high}


@every_detector
def test_it_reports_finite_losses_by_name_and_member_and_scores_each_image_for_each(
    name: str, whole_run: Callable[[str], TrainResult]
) -> None:
    result = whole_run(name)
    assert result.state == "complete"
    expected = {"epoch", "images_per_second"}
    expected |= {f"val_{metric}_{index}" for metric in METRICS for index in ("mean", 0, 3)}
    expected |= {f"loss_{loss}_{index}" for loss in LOSSES[name] for index in (0, 3)}
    assert [set(metrics) for metrics in result.history] == [expected] * 2
    assert all(math.isfinite(value) for metrics in result.history for value in metrics.values())
    images = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    scores = result.detector.score(images)
    assert scores.shape == (5, 2)
    assert scores.isfinite().all()
    assert len(scores.unique()) == 10
    assert torch.equal(result.detector.score(images), scores)
    assert not scores.requires_grad


@pytest.mark.parametrize("name", [name for name, detector in DETECTORS.items() if detector.reconstructs])
def test_reconstructions_are_images_of_each_member(name: str, whole_run: Callable[[str], TrainResult]) -> None:
    assert sum(detector.reconstructs for detector in DETECTORS.values()) == 10
    detector = whole_run(name).detector
    images = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    outputs = detector.reconstruct(images)
    assert outputs.shape == (5, 2, 1, 32, 32)
    assert outputs.abs().max() <= 1
    assert not torch.equal(outputs[:, 0], outputs[:, 1])
    score = {"mse": lambda x, y: ((x - y) / 2).square(), "l1": lambda x, y: (x - y).abs()}
    used = "l1" if name in ("gan", "gan-small", "gan-two-heads") else "mse"
    if name not in ("vae", "ganomaly", "autoencoder-kde"):  # theirs are other scores
        expected = score[used](images[:, None], outputs).mean((2, 3, 4))
        assert torch.allclose(detector.score(images), expected, rtol=1e-4)


@every_trained_detector
def test_training_moves_every_loss(name: str, whole_run: Callable[[str], TrainResult]) -> None:
    first, last = whole_run(name).history
    assert all(
        first[f"loss_{loss}_{index}"] != last[f"loss_{loss}_{index}"] for loss in LOSSES[name] for index in (0, 3)
    )


@every_detector
def test_the_same_seed_gives_the_same_numbers_and_another_seed_gives_others(
    name: str, whole_run: Callable[[str], TrainResult], digits_train: ImageDataset
) -> None:
    torch.manual_seed(99)  # of no consequence
    before = torch.get_rng_state()
    again = train(config(name), ignore, data=digits_train)
    assert torch.equal(torch.get_rng_state(), before)
    assert comparable(again.history) == comparable(whole_run(name).history)
    assert same_state(again.detector, whole_run(name).detector)
    other = train(config(name, train_seed=1, epochs=1), ignore, data=digits_train)
    images = torch.zeros(3, 1, 32, 32)
    assert (other.detector.score(images) != again.detector.score(images)).all()


@every_detector
def test_a_resumed_run_is_the_whole_run_to_the_bit(
    name: str, whole_run: Callable[[str], TrainResult], digits_train: ImageDataset, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    with pytest.raises(InterruptedRunError):
        train(config(name), interrupt_after(1), data=digits_train, checkpoints=checkpoints)
    resumed = train(config(name), ignore, data=digits_train, checkpoints=checkpoints)
    assert len(resumed.history) == 2
    assert comparable(resumed.history) == comparable(whole_run(name).history)
    assert same_state(resumed.detector, whole_run(name).detector)

    # what was saved is all there is to a detector, and loads with weights_only=True
    _, loaded = load_detector(tmp_path / "run.ckpt", channels=1)
    images = torch.rand(4, 1, 32, 32) * 2 - 1
    assert torch.equal(loaded.score(images), whole_run(name).detector.score(images))


@every_trained_detector
def test_a_nan_in_one_member_does_not_reach_the_other_which_goes_on_alone(
    name: str, whole_run: Callable[[str], TrainResult], digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_the_second(module: PackModule) -> None:
        pack = module.pack
        if len(pack.members) == 2:  # not once it has left
            apart = len(pack.detectors) == 2
            broken = pack.detectors[1].parameters() if apart else (p.chunk(2)[1] for p in pack.parameters())
            with torch.no_grad():
                for parameter in broken:
                    parameter.fill_(math.nan)

    monkeypatch.setattr(PackModule, "on_train_start", break_the_second)
    result = train(config(name), ignore, data=digits_train)
    assert result.state == "diverged"
    assert len(result.history) == 2
    for metrics, whole in zip(result.history, whole_run(name).history, strict=True):
        assert all(math.isnan(metrics[f"val_{metric}_{index}"]) for metric in METRICS for index in (3, "mean"))
        own = {key: value for key, value in metrics.items() if key.endswith("_0")}
        assert len(own) == len(METRICS) + len(LOSSES[name])
        # networks of one group and of two round differently
        assert own == pytest.approx({key: whole[key] for key in own}, rel=0 if metrics["epoch"] == 1 else 1e-3)


@every_detector
def test_images_may_have_three_channels(name: str, digits_train: ImageDataset) -> None:
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(10).repeat_interleave(24)
    images = torch.randint(0, 256, (240, 3, 8, 8), generator=stream, dtype=torch.uint8)
    info = dataclasses.replace(digits_train.info, channels=3)
    data = ImageDataset(info, "train", images, labels, content_hash="made up")
    result = train(config(name, epochs=1, batch_size=8), ignore, data=data)
    assert result.state == "complete"
    assert result.detector.score(torch.zeros(3, 3, 32, 32)).shape == (3, 2)


@every_detector
def test_anomalies_matter_to_those_detectors_that_say_so(
    name: str, whole_run: Callable[[str], TrainResult], digits_train: ImageDataset
) -> None:
    if ANOMALIES[name] == "needed":
        with pytest.raises(UserError, match=f"--detector {name}: it learns from labelled anomalies"):
            config(name, protocol="one-class")
        return
    # as many normal images in a batch as beside anomalies: 16
    alone = train(config(name, protocol="one-class", batch_size=16), ignore, data=digits_train)
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    same = torch.equal(alone.detector.score(images), whole_run(name).detector.score(images))
    assert same == (ANOMALIES[name] == "ignored")


SHALLOW = ("autoencoder", "conv-autoencoder")  # they reconstruct anomalies of 8x8 pixels nearly as well


@every_trained_detector
def test_it_learns_to_score_anomalies_higher(name: str, digits_train: ImageDataset) -> None:
    normal, least = (0, 0.65) if name in SHALLOW else (6, 0.85)
    settings = config(
        name, classes=(normal,), width=8, latent_size=16, batch_size=16, learning_rate=5e-3, images_per_class=None,
        validation_images=None, epochs=8 if name in ("vae", "ganomaly", "autoencoder-kde") else 4,
    )  # fmt: skip
    # with the sign the wrong way round it would be as far below a half
    assert train(settings, ignore, data=digits_train).history[-1]["val_auroc_mean"] > least
