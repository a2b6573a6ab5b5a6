"""Detectors' own losses: numbers worked out by hand, shapes that are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from adcore import losses
from adcore.detectors.cnn import Dropout, balanced_bce
from adcore.detectors.deep_svdd import inverse_distance, squared_distance
from adcore.detectors.gan_small import SmallDiscriminator, SmallGenerator
from adcore.detectors.gan_two_heads import TwoHeadDiscriminator
from adcore.detectors.vae import divergence
from adcore.networks import initialise
from adcore.reconstruction import ERRORS, bce, excess_bce, l1, mse, unit_range


def pixels(*values: float) -> Tensor:
    """One image of one channel and a row of pixels."""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


def test_errors_are_means_over_the_pixels_of_each_image() -> None:
    image, output = pixels(0.0, 1.0), pixels(0.5, 0.8)
    # squares .25 and .04; absolutes .5 and .2; cross-entropy -log .5 and -log .8
    assert mse(image, output).item() == pytest.approx(0.145, rel=1e-12)
    assert l1(image, output).item() == pytest.approx(0.35, rel=1e-12)
    assert bce(image, output).item() == pytest.approx((math.log(2) + math.log(1.25)) / 2, rel=1e-12)
    # of .5 taken for .25: -(log .25 + log .75) / 2 less log 2 is log(4/3) / 2
    assert excess_bce(pixels(0.5), pixels(0.25)).item() == pytest.approx(math.log(4 / 3) / 2, rel=1e-12)
    assert len(ERRORS) == 3


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
def test_an_error_is_of_its_own_image_and_has_a_finite_slope(error: Callable[[Tensor, Tensor], Tensor]) -> None:
    stream = torch.Generator().manual_seed(0)
    image, output = (torch.rand(4, 3, 5, 6, generator=stream) for _ in range(2))
    output[0, 0, 0, :2] = torch.tensor([0.0, 1.0])  # where a sigmoid saturates
    output.requires_grad_()
    each = error(image, output)
    assert each.shape == (4,)
    assert each.tolist() == pytest.approx([error(image[n : n + 1], output[n : n + 1]).item() for n in range(4)])
    assert torch.autograd.grad(each.sum(), output)[0].isfinite().all()
    assert error(image, torch.full_like(image, math.nan)).isnan().all()


def test_excess_cross_entropy_is_least_for_the_image_itself() -> None:
    stream = torch.Generator().manual_seed(0)
    image, output = (torch.rand(2, 1, 8, 8, generator=stream) for _ in range(2))
    output.requires_grad_()
    assert excess_bce(image, image).tolist() == [0, 0]
    assert (excess_bce(image, output) > 0).all()
    slopes = [torch.autograd.grad(error(image, output).sum(), output)[0] for error in (bce, excess_bce)]
    assert torch.equal(*slopes)


def test_cross_entropy_is_pytorchs() -> None:
    stream = torch.Generator().manual_seed(0)
    image, output = (torch.rand(2, 1, 8, 8, generator=stream) for _ in range(2))
    assert bce(image, output).mean().item() == pytest.approx(F.binary_cross_entropy(output, image).item(), rel=1e-5)


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (2, 1, 4, 1), (2, 4, 4)])
def test_errors_of_unequal_shapes_are_refused(error: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected two equal shapes"):
        error(torch.zeros(2, 1, 4, 4), torch.zeros(shape))


def test_the_unit_range_is_that_of_a_sigmoid() -> None:
    assert unit_range(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 1.0]


def test_divergence_of_a_shifted_and_of_a_wider_normal_distribution() -> None:
    mean, variance = torch.tensor([[3.0, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, 1.0], [1.0, 4.0]])
    # 3^2 / 2; (4 - log 4 - 1) / 2
    expected = [4.5, (3 - math.log(4)) / 2]
    assert divergence(mean, variance.log()).tolist() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="expected equal shapes"):
        divergence(mean, variance[:1])


def test_balanced_cross_entropy_weighs_a_class_by_n_over_twice_its_number() -> None:
    normal, anomalous = torch.tensor([0.0, 0.0, math.log(3)]), torch.tensor([math.log(3)])
    # normal: log 2, log 2 and log(1 + 3); anomalous: log(1 + 1/3). Weights 4 / (2 * 3) and 4 / (2 * 1); mean over 4.
    expected = (4 / 6 * (2 * math.log(2) + math.log(4)) + 4 / 2 * math.log(4 / 3)) / 4
    assert balanced_bce(normal, anomalous).item() == pytest.approx(expected, rel=1e-6)
    for wrong in (torch.zeros(0), torch.zeros(2, 1)):
        with pytest.raises(ValueError, match="expected shapes"):
            balanced_bce(normal, wrong)


def test_distances_from_the_centre_and_their_inverse() -> None:
    embedding, centre = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([0.0, 0.0])
    assert squared_distance(embedding, centre).tolist() == [5.0, 0.0]
    assert inverse_distance(embedding, centre).tolist() == pytest.approx([0.2, 1e6], rel=1e-5)
    with pytest.raises(ValueError, match="expected "):
        squared_distance(embedding, centre[:1])


def test_dropout_keeps_the_mean_and_draws_from_its_own_stream() -> None:
    layer, ones = Dropout(0.25), torch.ones(10_000)
    layer.stream = torch.Generator().manual_seed(0)
    dropped = layer(ones)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert abs((dropped == 0).double().mean() - 0.25) < 5 * (0.25 * 0.75 / 10_000) ** 0.5
    layer.stream = torch.Generator().manual_seed(0)
    assert torch.equal(layer(ones), dropped)
    assert torch.equal(layer.eval()(ones), ones)


def test_all_sixteen_patches_are_the_reconstruction_loss_once_more() -> None:
    stream = torch.Generator().manual_seed(0)
    image, output = (torch.rand(3, 2, 1, 32, 32, generator=stream) for _ in range(2))
    patches = losses.patch(image, output, size=8, stride=8, worst=16)
    assert patches.tolist() == pytest.approx(losses.reconstruction(image, output).tolist(), rel=1e-5)


@pytest.mark.parametrize("kind", [SmallGenerator, SmallDiscriminator, TwoHeadDiscriminator])
def test_grouped_members_of_the_smaller_networks_are_networks_of_their_own(kind: Any) -> None:
    def stream(member: int) -> torch.Generator:
        return torch.Generator().manual_seed(member)

    images = torch.rand(2, 3, 32, 32, generator=stream(9)) * 2 - 1
    both = kind(channels=1, width=2, members=3)
    initialise(both, [stream(m) for m in range(3)], deviation=None)
    for member in range(3):
        alone = kind(channels=1, width=2)
        initialise(alone, [stream(member)], deviation=None)
        ours, theirs = both(images), alone(images[:, member : member + 1])
        ours, theirs = (ours[0], theirs[0]) if isinstance(ours, tuple) else (ours, theirs)
        assert torch.allclose(ours[:, member : member + 1], theirs, atol=1e-6)


def test_initial_weights_without_a_deviation_are_those_of_pytorchs_layers() -> None:
    layers = [torch.nn.Conv2d(8, 64, 3), torch.nn.ConvTranspose2d(64, 8, 3)]
    for layer in layers:
        spread, count = layer.weight.std().item(), layer.weight.numel()
        initialise(layer, [torch.Generator().manual_seed(0)], deviation=None)
        bound = 72**-0.5  # 8 channels x 3 x 3 pixels
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert layer.bias is not None
        assert 0 < layer.bias.abs().max().item() <= bound
        assert layer.weight.std().item() == pytest.approx(spread, rel=5 / count**0.5)


def test_the_two_heads_weigh_alike_in_a_mean() -> None:
    network = TwoHeadDiscriminator(channels=1, width=2)
    scores = network(torch.rand(3, 1, 32, 32))
    assert scores.shape == (3, 1, 4, 2)
    features = network.features(torch.rand(3, 1, 32, 32))
    assert features.shape[2:] == (3, 3)
    assert len(scores[0, 0, 2:].unique()) == 1, "the image's score is one number"
    assert len(scores[0, 0, :2].unique()) == 4, "the patches' scores are four"
