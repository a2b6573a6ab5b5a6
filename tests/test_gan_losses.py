"""The losses of the two-discriminator GAN as it computes them: those of the equations, by name, each by its weight."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adcore import losses
from adcore.config import LOSS_WEIGHTS
from adcore.datasets import ImageDataset
from adcore.detectors import TwoDiscriminatorGAN
from adcore.losses import LOSSES
from adcore.networks import IMAGE_SIZE
from tests.gan_parts import ALL_WEIGHTS, images_of, make


def generator_losses(
    detector: TwoDiscriminatorGAN, normal: Tensor, anomalous: Tensor, output: Tensor, code: Tensor
) -> dict[str, Tensor]:
    """output, code: of both kinds of images in one batch."""
    parts = output[: len(normal)], output[len(normal) :]
    return detector.generator_losses(normal, anomalous, *parts, code[: len(normal)], detector.judge(*parts))


def test_the_six_generator_losses_are_those_of_the_equations(digits_train: ImageDataset) -> None:
    detector = make((0,), norm="group")  # no batch statistics: networks can be asked one after another
    normal, anomalous = images_of(digits_train, slice(0, 8)), images_of(digits_train, slice(8, 16))
    output, code = detector.generator(torch.cat([normal, anomalous]))
    terms = generator_losses(detector, normal, anomalous, output, code)
    network, d_normal, d_anomaly = detector.generator, detector.discriminator_normal, detector.discriminator_anomaly
    x, x_hat, a, a_hat = (t[:, None] for t in (normal, network(normal)[0], anomalous, network(anomalous)[0]))
    expected = {
        "reconstruction": (x - x_hat).abs().mean(),
        "patch": losses.patch(x, x_hat)[0],
        "latent": (network.encode(normal) - network.encode(network(normal)[0])).abs().mean(),
        "adversarial_normal": (d_normal(x_hat[:, 0]) - 1).square().mean(),
        "adversarial_anomaly": d_anomaly(a_hat[:, 0]).square().mean(),
        "abc": -(1 - (-(a - a_hat).abs().mean((1, 2, 3, 4))).exp()).log().mean(),
    }
    assert list(terms) == list(expected) == list(LOSS_WEIGHTS)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name][0], value, rtol=1e-9, atol=0, msg=name)


@pytest.mark.parametrize(("size", "windows"), [(4, 225), (8, 49), (16, 9), (32, 1)])
def test_the_windows_of_the_patch_loss_overlap_by_half_and_the_worst_third_counts(size: int, windows: int) -> None:
    detector = make((0,), patch_size=size)
    images = torch.rand(2, 1, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).double()
    output, code = detector.generator(images)
    found = detector.generator_losses(images, images, output, output, code, detector.judge(output, output))["patch"]
    error = (images - output).abs()
    patches = error.unfold(2, size, size // 2).unfold(3, size, size // 2).mean((1, 4, 5)).flatten(1)
    assert patches.shape == (2, windows)
    worst = patches.sort(1).values[:, -max(1, windows // 3) :]
    torch.testing.assert_close(found[0], worst.mean(), rtol=1e-12, atol=0)


def test_latent_loss_compares_two_codes_and_moves_the_generator(digits_train: ImageDataset) -> None:
    detector = make((0,))
    normal = images_of(digits_train, slice(0, 8))
    output, code = detector.generator(normal)
    judged = detector.judge(output, output)
    value = detector.generator_losses(normal, normal, output, output, code, judged)["latent"].sum()
    assert value.item() > 1e-3, "as good as a tensor compared with itself"
    # not through the code of x alone: with that held fixed the way through E(G(x)) is left, decoder included
    held = detector.generator_losses(normal, normal, output, output, code.detach(), judged)["latent"].sum()
    gradients = torch.autograd.grad(held, list(detector.generator.parameters()))
    assert len(gradients) == 8 + 2 * 6
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_discriminator_losses_are_those_of_the_equations(digits_train: ImageDataset) -> None:
    detector = make((0,), norm="group")
    normal, anomalous = images_of(digits_train, slice(0, 8)), images_of(digits_train, slice(8, 16))
    fake_normal, fake_anomalous = images_of(digits_train, slice(16, 24)), images_of(digits_train, slice(24, 32))
    critics = detector.discriminator_losses(normal, anomalous, detector.judge(fake_normal, fake_anomalous))
    d_normal, d_anomaly = detector.discriminator_normal, detector.discriminator_anomaly
    expected = {
        "discriminator_normal": (d_normal(normal) - 1).square().mean() + d_normal(fake_normal).square().mean(),
        "discriminator_anomaly": (d_anomaly(anomalous) - 1).square().mean() + d_anomaly(fake_anomalous).square().mean(),
    }
    assert list(critics) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(critics[name][0], value, rtol=1e-9, atol=0, msg=name)


def test_reported_losses_are_the_registrys() -> None:
    detector = make((0,))
    x = torch.zeros(2, 1, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.float64)
    output, code = detector.generator(x)
    judged = detector.judge(output, output)
    terms = detector.generator_losses(x, x, output, output, code, judged)
    terms |= detector.discriminator_losses(x, x, judged)
    assert set(terms) == set(LOSSES)
    assert len(terms) == 8


@pytest.mark.parametrize("name", LOSS_WEIGHTS)
def test_a_weight_of_zero_takes_its_loss_out_of_the_generators_step(name: str, digits_train: ImageDataset) -> None:
    none = dict.fromkeys(LOSS_WEIGHTS, 0.0)
    gradients: list[list[Tensor]] = []
    for weights in (ALL_WEIGHTS, ALL_WEIGHTS | {name: 0.0}, none | {name: 1.0}):
        detector = make((0,), weights=[weights])
        normal, anomalous = images_of(digits_train, slice(0, 8)), images_of(digits_train, slice(8, 16))
        output, code = detector.generator(torch.cat([normal, anomalous]))
        terms = generator_losses(detector, normal, anomalous, output, code)
        by_name = dict(zip(detector.loss_names, detector.loss_weights, strict=True))
        total = sum(by_name[key] * value for key, value in terms.items())
        gradients.append(list(torch.autograd.grad(total.sum(), list(detector.generator.parameters()))))  # type: ignore[union-attr]
    for all_of_it, rest, own in zip(*gradients, strict=True):
        torch.testing.assert_close(all_of_it, rest + own, rtol=1e-8, atol=1e-12)
    assert any(own.abs().sum() > 0 for own in gradients[2])
