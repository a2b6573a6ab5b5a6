"""The eight losses against their equations, by hand and in numpy, and what all of them have in common."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from adcore.losses import LOSSES, abc, patch, reconstruction_error

Array = NDArray[np.float64]

IMAGES = (4, 3, 2, 32, 32)  # [batch, members, channels, height, width]
CODES = (4, 3, 5, 2, 2)
SCORES = (4, 3, 1, 2, 2)
MEMBERS = 3
SHAPES = {
    "reconstruction": (IMAGES, IMAGES),
    "patch": (IMAGES, IMAGES),
    "latent": (CODES, CODES),
    "adversarial_normal": (SCORES,),
    "adversarial_anomaly": (SCORES,),
    "abc": (IMAGES, IMAGES),
    "discriminator_normal": (SCORES, SCORES),
    "discriminator_anomaly": (SCORES, SCORES),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
two_argument_loss = pytest.mark.parametrize("name", [name for name, shapes in SHAPES.items() if len(shapes) == 2])


def draw(name: str, *, seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=random, dtype=torch.float64) * 2 - 1 for shape in SHAPES[name]]


def patch_oracle(image: Array, output: Array) -> Array:
    error = np.abs(image - output)
    patches = [error[..., y : y + 16, x : x + 16].mean((2, 3, 4)) for y in (0, 8, 16) for x in (0, 8, 16)]
    assert len(patches) == 9
    return np.sort(np.stack(patches), axis=0)[-3:].mean((0, 1))


def discriminator_oracle(real: Array, fake: Array) -> Array:
    return ((real - 1) ** 2).mean((0, 2, 3, 4)) + (fake**2).mean((0, 2, 3, 4))


ORACLES: dict[str, Callable[..., Array]] = {
    "reconstruction": lambda x, y: np.abs(x - y).mean((0, 2, 3, 4)),
    "patch": patch_oracle,
    "latent": lambda x, y: np.abs(x - y).mean((0, 2, 3, 4)),
    "adversarial_normal": lambda score: ((score - 1) ** 2).mean((0, 2, 3, 4)),
    "adversarial_anomaly": lambda score: (score**2).mean((0, 2, 3, 4)),
    "abc": lambda x, y: (-np.log(1 - np.exp(-np.abs(x - y).mean((2, 3, 4))))).mean(0),
    "discriminator_normal": discriminator_oracle,
    "discriminator_anomaly": discriminator_oracle,
}


def test_every_loss_of_the_registry_is_checked_here() -> None:
    assert len(LOSSES) == len(SHAPES) == len(ORACLES) == 8
    assert set(LOSSES) == set(SHAPES) == set(ORACLES)


def constant(*values: float) -> Tensor:
    """Images [batch, 1, 1, 32, 32], the i-th filled with values[i]."""
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1, 1).expand(-1, 1, 1, 32, 32).contiguous()


def score_map(*values: float) -> Tensor:
    """One map of patch scores, [1, 1, 1, 2, 2]."""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, 2, 2)


def test_reconstruction_by_hand() -> None:
    output = constant(0.0, 0.1)
    output[0, ..., :16] = -0.5
    # image 0: half of the pixels off by .5 -> .25; image 1: all off by .1; (.25 + .1) / 2
    assert LOSSES["reconstruction"](constant(0.0, 0.0), output).item() == pytest.approx(0.175, rel=1e-12)


def test_patch_by_hand() -> None:
    output = constant(0.0)
    output[..., 8:16, :8] = 1.0
    # windows start at 0, 8, 16; rows 8-15, columns 0-7 lie in windows (0, 0) and (8, 0) alone: 64 of 256 pixels off by
    # 1 in each, so the three worst patches have .25, .25 and 0: a sixth
    assert LOSSES["patch"](constant(0.0), output).item() == pytest.approx(1 / 6, rel=1e-12)


def test_latent_by_hand() -> None:
    code = torch.zeros(2, 1, 2, 2, 2)
    code[0, :, 0] = 3.0
    # 16 numbers, 4 of them 3 apart: 12 / 16
    assert LOSSES["latent"](code, torch.zeros_like(code)).item() == pytest.approx(0.75, rel=1e-12)


def test_adversarial_normal_by_hand() -> None:
    # squared distances from 1: 1, 0, 4, 0; their mean
    assert LOSSES["adversarial_normal"](score_map(0, 1, 3, 1)).item() == pytest.approx(1.25, rel=1e-12)


def test_adversarial_anomaly_by_hand() -> None:
    # squared distances from 0: 0, 1, 9, 1; their mean
    assert LOSSES["adversarial_anomaly"](score_map(0, 1, 3, 1)).item() == pytest.approx(2.75, rel=1e-12)


def test_abc_by_hand() -> None:
    # e = ln 2: exp(-e) = 1/2, -log(1 - 1/2) = ln 2; e = ln 4: exp(-e) = 1/4, -log(3/4) = ln(4/3); the mean of both
    expected = (math.log(2) + math.log(4 / 3)) / 2
    output = constant(math.log(2), -math.log(4))
    assert LOSSES["abc"](constant(0.0, 0.0), output).item() == pytest.approx(expected, rel=1e-12)


def test_discriminator_normal_by_hand() -> None:
    # real, from 1: (1 + 0 + 4 + 0) / 4 = 1.25; fake, from 0: (4 + 0 + 0 + 0) / 4 = 1
    real, fake = score_map(0, 1, 3, 1), score_map(2, 0, 0, 0)
    assert LOSSES["discriminator_normal"](real, fake).item() == pytest.approx(2.25, rel=1e-12)


def test_discriminator_anomaly_by_hand() -> None:
    # the other way round; real, from 1: (1 + 1 + 1 + 1) / 4 = 1; fake, from 0: (0 + 1 + 9 + 1) / 4 = 2.75
    real, fake = score_map(2, 0, 0, 0), score_map(0, 1, 3, 1)
    assert LOSSES["discriminator_anomaly"](real, fake).item() == pytest.approx(3.75, rel=1e-12)


@pytest.mark.parametrize(("error", "value"), [(0.05, "3.02"), (0.2, "1.71"), (0.5, "0.93"), (1.0, "0.46")])
def test_abc_has_the_known_values(error: float, value: str) -> None:
    assert f"{abc(constant(0.0), constant(error)).item():.2f}" == value


def test_reconstruction_error_is_one_continuous_number_per_image_and_member() -> None:
    image, output = draw("reconstruction")
    error = reconstruction_error(image, output)
    assert error.shape == IMAGES[:2]
    np.testing.assert_allclose(error.numpy(), np.abs((image - output).numpy()).mean((2, 3, 4)), rtol=1e-12)


@every_loss
def test_every_loss_keeps_the_contract(name: str) -> None:
    loss, inputs = LOSSES[name], draw(name)
    value = loss(*inputs)
    assert value.shape == (MEMBERS,)
    np.testing.assert_allclose(value.numpy(), ORACLES[name](*(x.numpy() for x in inputs)), rtol=1e-12)

    # a mean over the batch: neither its order nor a second copy of it changes anything
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(loss(*(x[order] for x in inputs)), value, rtol=1e-12, atol=0)
    torch.testing.assert_close(loss(*(torch.cat([x, x]) for x in inputs)), value, rtol=1e-12, atol=0)

    for place in range(len(inputs)):  # member 1 moves with its own part of each input, the others do not
        moved = [x.clone() for x in inputs]
        moved[place][:, 1] = moved[place][:, 1] * 1.7 + 0.1
        changed = loss(*moved) != value
        assert changed.tolist() == [False, True, False]


@every_loss
def test_gradient_of_every_loss_is_right_and_stays_within_its_member(name: str) -> None:
    inputs = [x.requires_grad_() for x in draw(name, seed=1)]
    gradients = torch.autograd.grad(LOSSES[name](*inputs)[1], inputs)
    assert len(gradients) == len(SHAPES[name])
    for gradient in gradients:
        by_image = gradient.abs().sum((2, 3, 4))  # [batch, members]
        assert (by_image[:, 1] > 0).all(), "an image that the loss does not pull on"
        assert (by_image[:, [0, 2]] == 0).all(), "a gradient that reaches another member"
    assert torch.autograd.gradcheck(LOSSES[name], inputs, fast_mode=True)


def test_abc_pulls_every_pixel_away_from_the_image() -> None:
    output = constant(0.2).requires_grad_()
    abc(constant(0.0), output).sum().backward()
    # d/de -log(1 - exp(-e)) = -1 / (exp(e) - 1); de/dpixel = 1 / 1024. With math.log there would be none.
    expected = torch.full_like(output, -1 / math.expm1(0.2) / 1024)
    torch.testing.assert_close(output.grad, expected, rtol=1e-12, atol=0)


def test_patch_pulls_on_the_worst_patches_and_on_nothing_else() -> None:
    start = constant(0.0)
    start[..., :8, :8] = 1.0  # in window (0, 0) alone
    start[..., :8, 24:] = 0.8  # in window (0, 16) alone
    start[..., 24:, :8] = 0.6  # in window (16, 0) alone
    start[..., 24:, 24:] = 0.4  # in window (16, 16) alone, the fourth worst
    output = start.requires_grad_()
    patch(constant(0.0), output).sum().backward()
    # one pixel is 1/256 of a patch, a patch a third of the loss; rebuilt with torch.tensor(...) there would be none
    expected = torch.zeros_like(output)
    for rows, columns in ((slice(8), slice(8)), (slice(8), slice(24, 32)), (slice(24, 32), slice(8))):
        expected[..., rows, columns] = 1 / 256 / 3
    torch.testing.assert_close(output.grad, expected, rtol=1e-12, atol=0)


@two_argument_loss
@pytest.mark.parametrize("axis", range(5))
def test_unequal_shapes_are_refused_not_broadcast(name: str, axis: int) -> None:
    first, second = draw(name)
    second = second.narrow(axis, 0, 1)  # size 1 is what broadcasting would stretch
    if first.shape == second.shape:  # scores have one channel: there the first one gets a second
        first = torch.cat([first, first], axis)
    with pytest.raises(ValueError, match="expected two equal shapes") as caught:
        LOSSES[name](first, second)
    assert str(tuple(first.shape)) in str(caught.value)
    assert str(tuple(second.shape)) in str(caught.value)


EDGES: dict[str, Callable[[list[Tensor]], list[Tensor]]] = {
    "equal": lambda inputs: [inputs[0].clone() for _ in inputs],
    "nearly equal": lambda inputs: [inputs[0] * (1 + 1e-7 * i) for i in range(len(inputs))],
    "zeros": lambda inputs: [torch.zeros_like(x) for x in inputs],
    "constant and far": lambda inputs: [torch.full_like(x, 1.0 - 2.0 * i) for i, x in enumerate(inputs)],
    "saturated": lambda inputs: [torch.full_like(x, 1e4) for x in inputs],
    "saturated, opposite": lambda inputs: [torch.full_like(x, (-1) ** i * -1e4) for i, x in enumerate(inputs)],
}


@every_loss
@pytest.mark.parametrize("edge", EDGES)
def test_values_and_gradients_are_finite_at_the_edges_in_float32(name: str, edge: str) -> None:
    inputs = [x.requires_grad_() for x in EDGES[edge]([x.float() for x in draw(name)])]
    value = LOSSES[name](*inputs)
    gradients = torch.autograd.grad(value.sum(), inputs)
    assert value.dtype == torch.float32
    assert value.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients)
