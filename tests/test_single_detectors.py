"""What single detectors owe, beside the contract that all share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from adcore.augment import Resampler
from adcore.datasets import ImageDataset
from adcore.detectors.autoencoder_kde import AutoencoderKDE
from adcore.detectors.base.detector import Batches
from adcore.detectors.base.single import SingleDetector
from adcore.detectors.deep_svdd import inverse_distance, squared_distance
from adcore.detectors.ganomaly import GANomaly
from adcore.metrics import measure
from adcore.networks import IMAGE_SIZE
from adcore.reconstruction import bce, unit_range
from adcore.train import TrainResult, train
from tests.detector_runs import config, ignore


def noise(count: int, seed: int = 0) -> Tensor:
    """Images of random pixels in [-1, 1], [count, 1, 32, 32]."""
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_densities_prefer_images_of_their_own_kind(digits_train: ImageDataset) -> None:
    settings = config(
        "autoencoder-kde", width=8, latent_size=64, epochs=6, learning_rate=3e-3, images_per_class=None, batch_size=16
    )
    detector = train(settings, ignore, data=digits_train).detector
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


def test_the_autoencoder_of_the_densities_learns_from_each_image_as_much(digits_train: ImageDataset) -> None:
    detector = train(config("autoencoder-kde", labelled_share=0.2), ignore, data=digits_train).detector.detectors[1]
    assert isinstance(detector, AutoencoderKDE)
    normal, anomalous = noise(6), noise(3, seed=1)
    errors = [detector.errors(images).mean().item() for images in (normal, anomalous)]
    for repeated in (anomalous, torch.cat([anomalous, anomalous])):
        loss = detector.losses(normal, repeated)["reconstruction"].item()
        assert loss == pytest.approx(0.8 * errors[0] + 0.2 * errors[1], rel=1e-5)
    assert detector.losses(normal, anomalous[:0])["reconstruction"].item() == pytest.approx(errors[0], rel=1e-6)


def test_scores_follow_the_references_of_the_densities(whole_run: Callable[[str], TrainResult]) -> None:
    detector = whole_run("autoencoder-kde").detector.detectors[0]
    assert isinstance(detector, AutoencoderKDE)
    before, images = detector.references, noise(4)
    scores = detector.score(images)
    try:
        detector.set_extra_state({"normal": before["anomalous"], "anomalous": before["normal"]})
        assert torch.equal(detector.score(images), -scores)
        detector.set_extra_state({"normal": before["normal"] * math.nan})
        assert detector.score(images).isnan().all()
    finally:
        detector.set_extra_state(dict(before))
    assert torch.equal(detector.score(images), scores)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_deep_sad_weighs_each_image_the_same(share: float, digits_train: ImageDataset) -> None:
    detector = train(config("deep-sad", labelled_share=share), ignore, data=digits_train).detector.detectors[1]
    assert isinstance(detector, SingleDetector)
    detector.eval()
    normal, anomalous = noise(19), noise(1, seed=1).expand(19, -1, -1, -1)
    centre, network = detector.get_buffer("centre"), detector.network
    terms = detector.losses(normal, anomalous)
    distance = squared_distance(network(normal), centre).mean().item()
    inverse = inverse_distance(network(anomalous), centre).mean().item()
    assert terms["distance"].item() == pytest.approx((1 - share) * distance, rel=1e-4)
    assert terms["inverse_distance"].item() == pytest.approx(share * inverse, rel=1e-4)
    [(name, alone)] = detector.losses(normal, anomalous[:0]).items()
    assert (name, alone.item()) == ("distance", pytest.approx(distance, rel=1e-4))


def test_a_vae_scores_by_cross_entropy_by_its_excess_or_by_the_negative_elbo(digits_train: ImageDataset) -> None:
    images = noise(5).double()
    plain = unit_range(images)
    for name in ("bce", "excess-bce", "elbo"):
        detector = train(config("vae", vae_score=name, precision="64-true"), ignore, data=digits_train).detector
        output = unit_range(detector.reconstruct(images)[:, 1])
        expected = {"bce": bce(plain, output) * 1024, "elbo": detector.detectors[1].normal_loss(images)[:, 0]}
        expected["excess-bce"] = expected["bce"] - bce(plain, plain) * 1024
        assert torch.allclose(detector.score(images)[:, 1], expected[name], rtol=1e-9), name
        assert not torch.allclose(expected["bce"], expected["elbo"], rtol=1e-9)


@pytest.mark.parametrize("name", ["deep-svdd", "deep-sad"])
def test_the_centre_is_that_of_the_first_embeddings_and_stays(name: str, digits_train: ImageDataset) -> None:
    first = train(config(name, epochs=1, schedule="constant"), ignore, data=digits_train).detector
    longer = train(config(name, epochs=3, schedule="constant"), ignore, data=digits_train).detector
    centres, stayed = (torch.stack([own.get_buffer("centre") for own in pack.detectors]) for pack in (first, longer))
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
        def begin_epoch(self, epoch: int, batches: Batches) -> None:
            super().begin_epoch(epoch, batches)
            parts.update(zip(self.parts, self.optimised(), strict=True))

    hooks = [register_optimizer_step_pre_hook(keep), register_optimizer_step_post_hook(compare)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adcore.train.pack.DETECTORS", {"ganomaly": Watched})
        train(config("ganomaly", epochs=1, classes=(3,)), ignore, data=digits_train)
    for hook in hooks:
        hook.remove()
    assert moved
    assert moved == [{"generator"}, {"discriminator"}] * (len(moved) // 2)


def test_a_latent_is_drawn_with_the_standard_deviation_that_the_encoder_names(
    whole_run: Callable[[str], TrainResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = whole_run("vae").detector.detectors[1]
    assert isinstance(detector, SingleDetector)
    drawn: list[Tensor] = []
    count, network = 500, detector.network

    def decode(latents: Tensor) -> Tensor:
        drawn.append(latents)
        return torch.full((count, 1, 32, 32), 0.5)

    monkeypatch.setattr(network, "encode", lambda _: (torch.ones(count, 8), torch.full((count, 8), math.log(4))))
    monkeypatch.setattr(network, "decode", decode)
    monkeypatch.setattr(detector, "noise", torch.Generator().manual_seed(0))
    images = torch.zeros(count, 1, 32, 32)
    detector.losses(images, images[:0])
    detector.scores(images)
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
