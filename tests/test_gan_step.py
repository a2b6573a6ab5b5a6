"""The training step of the two-discriminator GAN: who moves whom, and experiments side by side."""

from __future__ import annotations

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

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.detectors import TwoDiscriminatorGAN
from adcore.detectors.base.optimisation import MemberAdam
from adcore.losses import LOSSES
from adcore.train import train
from tests.gan_parts import images_of, make
from tests.members import member_state


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
