"""What every detector owes: one contract over all of DETECTORS."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from adcore.augment import Resampler
from adcore.checkpoints import Checkpoints
from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.detector_catalog import ANOMALIES
from adcore.detectors import DETECTORS, Detector
from adcore.detectors.autoencoder_kde import AutoencoderKDE
from adcore.detectors.ganomaly import GANomaly
from adcore.detectors.members import MemberDetector
from adcore.epoch_end import EpochEnd
from adcore.errors import UserError
from adcore.networks import IMAGE_SIZE
from adcore.scoring import METRICS, measure
from adcore.train import TrainResult, load_detector, train

Metrics = dict[str, float]

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


class InterruptedRunError(Exception):
    """Stands for the end of a process."""


def config(name: str, **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "detector": name, "dataset": "digits", "classes": (0, 3), "width": 4, "latent_size": 8, "epochs": 2,
        "sampling": "random", "images_per_class": 64, "validation_images": 60, "batch_size": 32,
    }  # fmt: skip
    return TrainConfig(**(settings | changes))


def ignore(_: Metrics) -> None:
    pass


def comparable(history: list[Metrics]) -> list[Metrics]:
    return [{name: value for name, value in metrics.items() if name != "images_per_second"} for metrics in history]


def tensors(state: Any) -> dict[str, Tensor]:
    """A state dict, with what stands in nested ones beside the rest."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        found |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return found


def same_state(first: Detector, second: Detector) -> bool:
    ours, theirs = tensors(first.state_dict()), tensors(second.state_dict())
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def whole_run(digits_train: ImageDataset) -> Callable[[str], TrainResult]:
    """Each detector's run of config(name), trained once."""
    results: dict[str, TrainResult] = {}

    def run(name: str) -> TrainResult:
        if name not in results:
            results[name] = train(config(name), ignore, data=digits_train)
        return results[name]

    return run


def test_detectors_and_their_catalogue_name_the_same_fifteen() -> None:
    assert list(DETECTORS) == list(ANOMALIES)
    assert set(DETECTORS) == set(LOSSES)
    assert len(DETECTORS) == 15
    assert all(issubclass(detector, pl.LightningModule) for detector in DETECTORS.values())
    assert set(ANOMALIES.values()) == {"used", "ignored", "needed"}


@every_detector
def test_settings_and_search_are_fields_of_the_configuration_within_their_range(name: str) -> None:
    detector = DETECTORS[name]
    plain = TrainConfig()
    assert all(hasattr(plain, setting) for setting in detector.settings)
    assert bool(detector.search) == (name != "random")
    for setting, (low, high) in detector.search.items():
        assert 0 < low < high
        assert setting in detector.settings or (setting.startswith("weight_") and "weights" in detector.settings)
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
def test_two_members_together_are_each_alone(name: str, digits_train: ImageDataset) -> None:
    settings: dict[str, Any] = {"precision": "64-true"}
    both = train(config(name, **settings), ignore, data=digits_train)
    for index in (0, 3):
        alone = train(config(name, classes=(index,), **settings), ignore, data=digits_train)
        for ours, theirs in zip(both.history, alone.history, strict=True):
            own = {key: value for key, value in ours.items() if key.endswith(f"_{index}")}
            assert len(own) == len(METRICS) + len(LOSSES[name])
            assert {key: theirs[key] for key in own} == pytest.approx(own, rel=1e-6)


@every_detector
def test_a_resumed_run_is_the_whole_run_to_the_bit(
    name: str, whole_run: Callable[[str], TrainResult], digits_train: ImageDataset, tmp_path: Path
) -> None:
    def interrupt(metrics: Metrics) -> None:
        raise InterruptedRunError

    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    with pytest.raises(InterruptedRunError):
        train(config(name), interrupt, data=digits_train, checkpoints=checkpoints)
    resumed = train(config(name), ignore, data=digits_train, checkpoints=checkpoints)
    assert len(resumed.history) == 2
    assert comparable(resumed.history) == comparable(whole_run(name).history)
    assert same_state(resumed.detector, whole_run(name).detector)

    # what was saved is all there is to a detector, and loads with weights_only=True
    _, loaded = load_detector(checkpoints.path, channels=1)
    images = torch.rand(4, 1, 32, 32) * 2 - 1
    assert torch.equal(loaded.score(images), whole_run(name).detector.score(images))


@every_trained_detector
def test_a_nan_in_one_member_does_not_reach_the_other(
    name: str, whole_run: Callable[[str], TrainResult], digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_the_second(detector: Detector) -> None:
        apart = isinstance(detector, MemberDetector)
        broken = detector.networks[1].parameters() if apart else (p.chunk(2)[1] for p in detector.parameters())
        with torch.no_grad():
            for parameter in broken:
                parameter.fill_(math.nan)

    monkeypatch.setattr(DETECTORS[name], "on_train_start", break_the_second)
    result = train(config(name), ignore, data=digits_train)
    assert result.state == "diverged"
    (metrics,) = result.history
    assert all(math.isnan(metrics[f"val_{metric}_3"]) for metric in METRICS)
    own = {key: value for key, value in metrics.items() if key.endswith("_0")}
    assert len(own) == len(METRICS) + len(LOSSES[name])
    assert own == {key: whole_run(name).history[0][key] for key in own}


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


AUTOENCODERS = [name for name, detector in DETECTORS.items() if detector.has_normal_loss]


def test_early_stopping_counts_epochs_without_a_better_loss_and_a_resumed_run_stops_with_it(
    digits_train: ImageDataset, tmp_path: Path
) -> None:
    # the loss of an autoencoder that learns nothing never falls: it is best after the first epoch
    settings = config("autoencoder", epochs=9, patience=2, learning_rate=1e-30, schedule="constant")
    stopped = train(settings, ignore, data=digits_train)
    assert (stopped.state, len(stopped.history)) == ("complete", 3)

    def interrupt(metrics: Metrics) -> None:
        if metrics["epoch"] == 2:
            raise InterruptedRunError

    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    with pytest.raises(InterruptedRunError):
        train(settings, interrupt, data=digits_train, checkpoints=checkpoints)
    resumed = train(settings, ignore, data=digits_train, checkpoints=checkpoints)
    assert comparable(resumed.history) == comparable(stopped.history)
    again = train(settings, ignore, data=digits_train, checkpoints=checkpoints)
    assert comparable(again.history) == comparable(stopped.history)


@pytest.mark.parametrize("name", ["vae", "deep-svdd", "cnn", "gan"])
def test_patience_is_no_limit_to_a_run_that_gets_better(name: str, digits_train: ImageDataset) -> None:
    settings = config(name, epochs=3, patience=2, batch_size=8, learning_rate=2e-3, images_per_class=None)
    assert len(train(settings, ignore, data=digits_train).history) == 3


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_what_early_stopping_watches_is_the_mean_loss_of_normal_images(
    name: str, whole_run: Callable[[str], TrainResult]
) -> None:
    assert len(AUTOENCODERS) == 7
    detector = whole_run(name).detector
    images = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    losses = detector.normal_loss(images)
    assert losses.shape == (6, 2)
    assert isinstance(detector, MemberDetector)
    detector.eval()
    noise = [torch.Generator().manual_seed(0) for _ in range(2)]
    detector.noise = noise
    for member in range(2):
        terms = detector.losses(member, images, images[:0])
        # the VAE's is drawn in training, at its mean here
        assert sum(value.item() for value in terms.values()) == pytest.approx(losses[:, member].mean().item(), rel=0.05)


def test_the_densities_prefer_images_of_their_own_kind(digits_train: ImageDataset) -> None:
    settings = config(
        "autoencoder-kde", width=8, latent_size=64, epochs=6, learning_rate=3e-3, images_per_class=None, batch_size=16
    )
    detector = train(settings, ignore, data=digits_train).detector
    assert isinstance(detector, AutoencoderKDE)
    images = Resampler(8, IMAGE_SIZE, torch.device("cpu")).plain(digits_train.images)
    named = detector.scores_by_name(images)
    assert set(named) == {"reconstruction", "log_density_normal", "log_density_anomalous"}
    for member, index in enumerate((0, 3)):
        anomalous = digits_train.labels != index
        for name, sign in (("reconstruction", 1), ("log_density_normal", -1), ("log_density_anomalous", 1)):
            assert measure(sign * named[name][:, member], anomalous)["auroc"] > 0.5, (name, index)
        ratio = named["log_density_anomalous"] - named["log_density_normal"]
        assert torch.equal(detector.score(images), ratio)
    assert measure(detector.score(images)[:, 0], digits_train.labels != 0)["auroc"] > 0.9


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


@pytest.mark.parametrize("name", ["deep-svdd", "deep-sad"])
def test_the_centre_is_that_of_the_first_embeddings_and_stays(name: str, digits_train: ImageDataset) -> None:
    first = train(config(name, epochs=1, schedule="constant"), ignore, data=digits_train).detector
    longer = train(config(name, epochs=3, schedule="constant"), ignore, data=digits_train).detector
    centres, stayed = first.get_buffer("centres"), longer.get_buffer("centres")
    assert centres.shape == (2, 8)
    assert torch.equal(centres, stayed)
    assert centres.abs().min() >= 0.1
    assert not torch.equal(centres[0], centres[1])


def test_one_network_is_not_trained_with_another_ones_loss(digits_train: ImageDataset) -> None:
    """GANomaly's discriminator learns from its own loss alone, its generator from the others."""
    moved: list[set[str]] = []
    parts: dict[str, list[Tensor]] = {}
    before: dict[str, list[Tensor]] = {}

    def keep(_: Optimizer, *__: Any) -> None:
        before.update({part: [p.detach().clone() for p in own] for part, own in parts.items()})

    def compare(_: Optimizer, *__: Any) -> None:
        moved.append({part for part, own in parts.items() if not all(map(torch.equal, own, before[part]))})

    class Watched(GANomaly):
        def on_train_start(self) -> None:
            parts.update({part: self.part_parameters(part) for part in self.parts})

    hooks = [register_optimizer_step_pre_hook(keep), register_optimizer_step_post_hook(compare)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adcore.detectors.DETECTORS", {"ganomaly": Watched})
        train(config("ganomaly", epochs=1), ignore, data=digits_train)
    for hook in hooks:
        hook.remove()
    assert moved
    assert moved == [{"generator"}, {"discriminator"}] * (len(moved) // 2)


def test_a_latent_is_drawn_with_the_standard_deviation_that_the_encoder_names(
    whole_run: Callable[[str], TrainResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = whole_run("vae").detector
    assert isinstance(detector, MemberDetector)
    drawn: list[Tensor] = []
    count, network = 500, detector.networks[1]

    def decode(latents: Tensor) -> Tensor:
        drawn.append(latents)
        return torch.full((count, 1, 32, 32), 0.5)

    monkeypatch.setattr(network, "encode", lambda _: (torch.ones(count, 8), torch.full((count, 8), math.log(4))))
    monkeypatch.setattr(network, "decode", decode)
    detector.noise = [torch.Generator().manual_seed(0) for _ in range(2)]
    images = torch.zeros(count, 1, 32, 32)
    detector.losses(1, images, images[:0])
    detector.member_scores(1, images)
    in_training, in_scoring = drawn
    error = 2 / (count * 8) ** 0.5
    assert abs(in_training.mean() - 1) < 5 * error
    assert abs(in_training.std() - 2) < 5 * error
    assert torch.equal(in_scoring, torch.ones(count, 8))


@pytest.mark.parametrize(("name", "all_patches"), [("gan-small", True), ("gan", False), ("gan-two-heads", False)])
def test_all_patches_count_in_the_small_gan_alone(
    name: str, all_patches: bool, whole_run: Callable[[str], TrainResult]
) -> None:
    # patches that tile the image: their mean is the reconstruction loss; the worst three are above it
    metrics = whole_run(name).history[0]
    assert (metrics["loss_patch_0"] == pytest.approx(metrics["loss_reconstruction_0"], rel=1e-5)) == all_patches


def test_early_stopping_watches_normal_images_of_each_experiment_alone(digits_train: ImageDataset) -> None:
    class Brightness(Detector):
        has_normal_loss = True

        def normal_loss(self, images: Tensor) -> Tensor:
            return torch.stack([images.mean((1, 2, 3)), 3 * images.mean((1, 2, 3))], 1)

    images, labels = digits_train.images, digits_train.labels
    validated = EpochEnd(config("vae", patience=1), print, (images, labels), None, None)  # type: ignore[arg-type]
    brightness = Resampler(8, IMAGE_SIZE, torch.device("cpu")).plain(images).mean((1, 2, 3))
    expected = (brightness[labels == 0].mean() + 3 * brightness[labels == 3].mean()) / 2
    assert validated._watched(Brightness()) == pytest.approx(expected.item(), rel=1e-5)
