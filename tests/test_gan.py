"""The two-discriminator GAN: who moves whom in a step, how it scores, and experiments side by side."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from adcore import losses
from adcore.augment import Resampler
from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.datasets import ImageDataset
from adcore.detectors import TwoDiscriminatorGAN
from adcore.detectors.base.optimisation import MemberAdam
from adcore.losses import LOSSES
from adcore.networks import IMAGE_SIZE
from adcore.random_streams import generator
from adcore.train import train
from adcore.train.batch_scores import anomaly_scores
from adcore.train.pack import Pack
from tests.members import member_state

CPU = torch.device("cpu")
ALL_WEIGHTS = dict.fromkeys(LOSS_WEIGHTS, 1.0)


def make(classes: Sequence[int] = (0, 1, 2), *, channels: int = 1, **changes: Any) -> TwoDiscriminatorGAN:
    settings: dict[str, Any] = {
        "channels": channels,
        "width": 4,
        "norm": "batch",
        "weights": [ALL_WEIGHTS] * len(classes),
        "generators": [generator(0, index, "init") for index in classes],
    }
    return TwoDiscriminatorGAN(**(settings | changes)).double()


def fit(
    detector: TwoDiscriminatorGAN, data: ImageDataset, adams: Sequence[MemberAdam] | None = None
) -> dict[str, Tensor]:
    """An epoch of three batches; returns the sums of the losses."""
    adams = adams or adams_of(detector)
    sums = dict.fromkeys(LOSSES, torch.zeros(detector.members, dtype=torch.float64))
    for normal, anomalous in batches_of(data, detector.members):
        terms = detector.step(normal, anomalous, adams)
        sums = {name: sums[name] + value.detach() for name, value in terms.items()}
    return sums


def adams_of(detector: TwoDiscriminatorGAN) -> list[MemberAdam]:
    settings: dict[str, Any] = {"betas": detector.betas, "weight_decay": [0.0] * detector.members}
    adams = [MemberAdam(parameters, **settings) for parameters in detector.optimised()]
    for adam in adams:
        adam.set_rates([1e-3] * detector.members)
    return adams


def batches_of(data: ImageDataset, members: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Three batches, each member's images its own."""
    for first in (0, 100, 200):
        places = [slice(first + 16 * member, first + 16 * member + 16) for member in range(members)]
        images = torch.cat([images_of(data, place) for place in places], 1)
        yield images[:8], images[8:]


def generator_losses(
    detector: TwoDiscriminatorGAN, normal: Tensor, anomalous: Tensor, output: Tensor, code: Tensor
) -> dict[str, Tensor]:
    """output, code: of both kinds of images in one batch."""
    parts = output[: len(normal)], output[len(normal) :]
    return detector.generator_losses(normal, anomalous, *parts, code[: len(normal)], detector.judge(*parts))


def images_of(data: ImageDataset, positions: slice) -> Tensor:
    return Resampler(8, IMAGE_SIZE, CPU, torch.float64).plain(data.images[positions])


@contextmanager
def optimizer_steps(before: Any, after: Any) -> Iterator[None]:
    """Calls before(optimizer) and after(optimizer) around every optimiser step."""
    handles = [
        register_optimizer_step_pre_hook(lambda optimizer, _a, _k: before(optimizer)),
        register_optimizer_step_post_hook(lambda optimizer, _a, _k: after(optimizer)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def snapshot(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if tensor is None else tensor.detach().clone() for tensor in tensors]


def equal(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> bool:
    return all(
        one is two if one is None or two is None else torch.equal(one, two)
        for one, two in zip(first, second, strict=True)
    )


def watched_steps(detector: TwoDiscriminatorGAN, data: ImageDataset) -> list[tuple[bool, bool, bool, bool, bool]]:
    """Of each optimiser step: is it the generator's; did generator or critics move; did their gradients change since
    the optimiser step before."""
    own, critics = detector.optimised()
    adams = adams_of(detector)
    parts = [[view for views in adam.views for view in views] for adam in adams]  # by member: what an Adam is given
    steps: list[tuple[bool, bool, bool, bool, bool]] = []
    gradients = [snapshot([view.grad for view in views]) for views in parts]
    weights: list[list[Tensor | None]] = []
    changed = [False, False]

    def before(_: Optimizer) -> None:
        weights[:] = [snapshot(own), snapshot(critics)]
        now = [snapshot([view.grad for view in views]) for views in parts]
        changed[:] = [not equal(old, new) for old, new in zip(gradients, now, strict=True)]
        gradients[:] = now

    def after(optimizer: Optimizer) -> None:
        stepped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        is_generator = any(stepped[0] is view for view in parts[0])
        assert {id(each) for each in stepped} == {id(view) for view in parts[not is_generator]}
        assert len(stepped) == detector.members * len(own if is_generator else critics)
        moved = [not equal(old, new) for old, new in zip(weights, [snapshot(own), snapshot(critics)], strict=True)]
        steps.append((is_generator, *moved, *changed))  # type: ignore[arg-type]

    with optimizer_steps(before, after):
        fit(detector, data, adams)
    return steps


def test_generator_step_leaves_discriminators_unchanged_and_discriminator_step_the_generator(
    digits_train: ImageDataset,
) -> None:
    steps = watched_steps(make(), digits_train)
    assert len(steps) == 6  # 3 batches
    # generator's step; generator moved, critics moved; generator's gradient is new, critics' gradient is new
    assert steps[0::2] == [(True, True, False, True, False)] * 3
    assert steps[1::2] == [(False, False, True, False, True)] * 3


def test_each_discriminator_judges_images_once_and_reconstructions_once_a_step(digits_train: ImageDataset) -> None:
    detector, calls = make(), list[str]()
    for name in ("generator", "discriminator_normal", "discriminator_anomaly"):
        detector.get_submodule(name).register_forward_hook(lambda *_, own=name: calls.append(own))
    fit(detector, digits_train)
    one = ["generator", "discriminator_anomaly", "discriminator_normal"]  # of reconstructions, for both updates
    assert calls == 3 * [*one, "discriminator_anomaly", "discriminator_normal"]


def test_the_discriminators_update_is_that_of_detached_reconstructions(digits_train: ImageDataset) -> None:
    detector = make((0,))
    normal, anomalous = images_of(digits_train, slice(0, 8)), images_of(digits_train, slice(8, 16))
    output = detector.generator(torch.cat([normal, anomalous]))[0]
    _, critics = detector.optimised()
    found: list[tuple[Tensor, ...]] = []
    for given in (output, output.detach()):
        judged = detector.judge(given[:8], given[8:])
        total = torch.stack([*detector.discriminator_losses(normal, anomalous, judged).values()]).sum()
        found.append(torch.autograd.grad(total, critics, retain_graph=True))
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))


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


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_score_is_one_continuous_number_per_image_and_member(channels: int, members: int) -> None:
    detector = make(range(members), channels=channels)
    images = torch.rand(50, channels, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).double()
    scores = detector.score(images)
    assert scores.shape == (50, members)
    assert not scores.requires_grad
    assert len(scores.unique()) == 50 * members, "scores that are labels already"
    detector.eval()
    for member in range(members):
        output = detector.generator(images.repeat(1, members, 1, 1))[0].unflatten(1, (members, channels))[:, member]
        torch.testing.assert_close(scores[:, member], (images - output).abs().mean((1, 2, 3)), rtol=1e-12, atol=0)


def test_the_latent_distance_is_added_to_the_score_by_each_members_weight() -> None:
    detector, plain = make(score_latent=[0.0, 0.5, 2.0]), make()
    images = torch.rand(20, 1, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).double()
    added = detector.score(images) - plain.score(images)
    detector.eval()
    output, code = detector.generator(images.repeat(1, 3, 1, 1))
    distance = (code - detector.generator.encode(output)).unflatten(1, (3, -1)).abs().mean((2, 3, 4))
    assert distance.min() > 0
    torch.testing.assert_close(added, distance * torch.tensor([0.0, 0.5, 2.0]), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("size", "windows"), [(4, 225), (8, 49), (16, 9), (32, 1)])
def test_the_patch_losss_windows_overlap_by_half_and_the_worst_third_counts(size: int, windows: int) -> None:
    detector = make((0,), patch_size=size)
    assert detector.windows == {"size": size, "stride": size // 2, "worst": max(1, windows // 3)}
    error = torch.zeros(1, 1, 1, IMAGE_SIZE, IMAGE_SIZE).double()
    positions = torch.nn.functional.avg_pool2d(error[0], size, size // 2)
    assert positions[0].numel() == windows


@pytest.mark.parametrize("training", [True, False])
def test_scoring_an_image_alone_or_among_others_is_the_same_and_changes_nothing(
    training: bool, digits_train: ImageDataset
) -> None:
    detector = make()
    detector.train(training)
    for _ in range(3):  # running statistics that are not the initial ones
        detector.generator.train()(images_of(digits_train, slice(0, 30)).repeat(1, 3, 1, 1))
    detector.train(training)
    state = {name: value.clone() for name, value in detector.state_dict().items()}
    images = images_of(digits_train, slice(0, 40))
    together = detector.score(images)
    alone = torch.cat([detector.score(image[None]) for image in images])
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=0)
    assert all(module.training is training for module in detector.modules())
    assert sum("running" in name for name in state) == 3 * 2 * 3 + 2 * 3, "no running statistics to change"
    assert all(torch.equal(value, detector.state_dict()[name]) for name, value in state.items())


def test_members_trained_together_equal_members_trained_alone(digits_train: ImageDataset) -> None:
    settings: dict[str, Any] = {"dataset": "digits", "width": 4, "epochs": 3, "precision": "64-true", "crop": True}
    together = train(TrainConfig(classes=(1, 4, 8), **settings), lambda _: None, data=digits_train)
    states = together.detector.states()
    for (ours, _), index in zip(states, (1, 4, 8), strict=True):
        alone = train(TrainConfig(classes=(index,), **settings), lambda _: None, data=digits_train)
        [(state, _)] = alone.detector.states()
        assert ours.keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-12, msg=name)
        for ours_metrics, metrics in zip(together.history, alone.history, strict=True):
            names = [f"loss_{name}_{index}" for name in LOSSES] + [f"val_auroc_{index}"]
            assert len(names) == 9
            for name in names:
                assert ours_metrics[name] == pytest.approx(metrics[name], rel=1e-9)


def test_a_members_nan_reaches_no_other_member_in_training(digits_train: ImageDataset) -> None:
    clean, broken = make(), make()
    with torch.no_grad():
        broken.generator.down[0][0].weight.chunk(3)[1].fill_(math.nan)
    fit(clean, digits_train)
    sums = fit(broken, digits_train)
    for member in (0, 2):
        ours, theirs = (member_state(detector.state_dict(), member, 3) for detector in (broken, clean))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    finite = torch.stack([value.isfinite() for value in sums.values()])
    assert finite.all(0).tolist() == [True, False, True]
    weights = member_state(broken.state_dict(), 1, 3)
    assert all(weights[name].isnan().any() for name in weights if name.endswith("0.0.weight"))
    assert torch.isfinite(broken.score(images_of(digits_train, slice(0, 5)))[:, [0, 2]]).all()


def test_a_mirrored_score_is_the_mean_over_an_image_and_its_mirror_image(digits_train: ImageDataset) -> None:
    member = TrainConfig(dataset="digits", classes=(3,), width=4, precision="64-true")
    made = Pack([member, dataclasses.replace(member, train_seed=1)], 1, strategy="grouped")
    images = digits_train.images[:8]
    plain, mirrored = anomaly_scores(made, images), anomaly_scores(made, images, mirrored=True)
    assert torch.allclose(mirrored, (plain + anomaly_scores(made, images.flip(3))) / 2, rtol=0, atol=1e-12)
    assert not torch.allclose(mirrored, plain)
