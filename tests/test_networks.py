"""Generator and discriminator: sizes, shapes, and members that share a network and nothing else."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from adcore.networks import IMAGE_SIZE, Discriminator, Generator, initialise
from tests.members import member_state

NORMS = ("batch", "group", "instance")
NETWORKS = (Generator, Discriminator)
every_norm = pytest.mark.parametrize("norm", NORMS)
every_network = pytest.mark.parametrize("network", NETWORKS)

Network = Generator | Discriminator


def streams(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw_images(batch: int, channels: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(batch, channels, IMAGE_SIZE, IMAGE_SIZE, generator=random, dtype=torch.float64) * 2 - 1


def outputs(network: Network, images: Tensor) -> tuple[Tensor, ...]:
    result = network(images)
    return result if isinstance(result, tuple) else (result,)


def three(network: type[Network], norm: str, channels: int = 1, width: int = 3) -> Network:
    """Three members in one network, float64, in training mode."""
    grouped = network(channels=channels, width=width, norm=norm, members=3).double()
    initialise(grouped, streams(0, 1, 2), deviation=0.2)
    return grouped


@pytest.mark.parametrize(("network", "count"), [(Generator, 6_166_144), (Discriminator, 1_710_336)])
def test_parameters_at_the_papers_width_are_as_many_as_in_the_paper(network: type[Network], count: int) -> None:
    assert sum(p.numel() for p in network(channels=1, width=64).parameters()) == count


def test_three_members_have_three_times_the_parameters() -> None:
    one, many = Generator(channels=1, width=8), Generator(channels=1, width=8, members=3)
    assert sum(p.numel() for p in many.parameters()) == 3 * sum(p.numel() for p in one.parameters())


@pytest.mark.parametrize(
    ("channels", "width", "norm", "members"), list(itertools.product((1, 3), (1, 3, 8), NORMS, (1, 3)))
)
def test_shapes_for_every_size_and_norm(channels: int, width: int, norm: str, members: int) -> None:
    shape = {"channels": channels, "width": width, "norm": norm, "members": members}
    images = draw_images(2, members * channels).float()
    output, code = Generator(**shape)(images)
    assert output.shape == images.shape
    assert code.shape == (2, members * 8 * width, 2, 2)
    assert output.abs().max() <= 1
    assert Discriminator(**shape)(images).shape == (2, members, 2, 2)


def test_unknown_norm_is_refused() -> None:
    with pytest.raises(KeyError, match="layer"):
        Generator(channels=1, width=1, norm="layer")


@every_norm
def test_encode_is_the_latent_of_the_whole_pass(norm: str) -> None:
    network = three(Generator, norm)
    images = draw_images(2, 3)
    assert torch.equal(network(images)[1], network.encode(images))


@every_norm
@every_network
def test_grouped_network_equals_separate_networks_with_the_same_weights(network: type[Network], norm: str) -> None:
    grouped = three(network, norm, channels=3)
    images = draw_images(4, 9)
    together = outputs(grouped, images)
    for member in range(3):
        alone = network(channels=3, width=3, norm=norm).double()
        alone.load_state_dict(member_state(grouped.state_dict(), member, 3))
        separate = outputs(alone, images[:, 3 * member : 3 * member + 3])
        for ours, theirs in zip(together, separate, strict=True):
            torch.testing.assert_close(ours.chunk(3, 1)[member], theirs, rtol=1e-10, atol=1e-12)


@every_norm
@every_network
def test_output_of_a_member_depends_on_its_own_input_alone(network: type[Network], norm: str) -> None:
    grouped = three(network, norm)
    images = draw_images(4, 3)
    other = images.clone()
    other[:, 1] = draw_images(4, 1, seed=1)[:, 0]
    for before, after in zip(outputs(grouped, images), outputs(grouped, other), strict=True):
        same = [torch.equal(a, b) for a, b in zip(before.chunk(3, 1), after.chunk(3, 1), strict=True)]
        assert same == [True, False, True]


@every_norm
@every_network
def test_a_members_nan_reaches_no_other_member_forward_backward_or_in_an_adam_step(
    network: type[Network], norm: str
) -> None:
    def step(images: Tensor) -> tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]:
        grouped = three(network, norm)
        optimizer = torch.optim.Adam(grouped.parameters(), 1e-3, fused=True)
        result = outputs(grouped, images)
        by_member = [r.unflatten(1, (3, -1)).square().mean((0, 2, 3, 4)) for r in result]  # [members] each
        torch.stack(by_member).sum().backward()
        gradients = {name: p.grad.clone() for name, p in grouped.named_parameters() if p.grad is not None}
        optimizer.step()
        return list(result), gradients, grouped.state_dict()

    images = draw_images(4, 3)
    broken = images.clone()
    broken[0, 1, 5, 5] = float("nan")
    result, gradients, state = step(images)
    result_nan, gradients_nan, state_nan = step(broken)
    assert len(gradients) == len(list(three(network, norm).parameters()))
    for member, is_broken in enumerate((False, True, False)):
        for clean, dirty in zip(result, result_nan, strict=True):
            assert dirty.chunk(3, 1)[member].isnan().any().item() is is_broken
            assert torch.equal(clean.chunk(3, 1)[member], dirty.chunk(3, 1)[member]) is not is_broken
        for clean_named, dirty_named in ((gradients, gradients_nan), (state, state_nan)):
            clean_part, dirty_part = member_state(clean_named, member, 3), member_state(dirty_named, member, 3)
            equal = all(torch.equal(clean_part[name], dirty_part[name]) for name in clean_part)
            assert equal is not is_broken


@every_network
def test_initialise_gives_each_member_what_a_network_of_its_own_would_draw(network: type[Network]) -> None:
    grouped = network(channels=3, width=4, members=3)
    initialise(grouped, streams(5, 6, 7))
    for member, seed in enumerate((5, 6, 7)):
        alone = network(channels=3, width=4)
        initialise(alone, streams(seed))
        own = member_state(grouped.state_dict(), member, 3)
        assert own.keys() == alone.state_dict().keys()
        assert all(torch.equal(own[name], value) for name, value in alone.state_dict().items())


def test_initial_weights_have_mean_0_and_deviation_002() -> None:
    network = Generator(channels=1, width=16)
    initialise(network, streams(0))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(layers) == 8
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    # n draws: the mean's standard error is .02 / sqrt(n), the deviation's .02 / sqrt(2 n); five of each
    error = 0.02 / len(weights) ** 0.5
    assert abs(weights.mean().item()) < 5 * error
    assert abs(weights.std().item() - 0.02) < 5 * error / 2**0.5


def test_skips_carry_detail_past_the_bottleneck() -> None:
    network = three(Generator, "batch")
    images = draw_images(2, 3).requires_grad_()
    features: list[Tensor] = []
    network.down[3].register_forward_hook(lambda _m, _i, output: output * 0)  # nothing comes through the bottleneck
    network.down[0].register_forward_hook(lambda _m, _i, output: features.append(output))
    output, code = network(images)
    assert (code == 0).all()
    assert len(features) == 1
    assert torch.autograd.grad(output.square().sum(), images)[0].abs().sum() > 0
