"""Learning rates over a training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR, StepLR
from torch.optim.optimizer import register_optimizer_step_pre_hook

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.detectors.base import optimisation
from adcore.detectors.base.optimisation import MemberAdam
from adcore.train import train
from tests.train_runs import config, ignore


def learning_rates(settings: TrainConfig, data: ImageDataset) -> tuple[list[float], list[float]]:
    """Of every optimiser step: the generator's, the discriminators'."""
    steps: list[tuple[int, float]] = []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, _a, _k: steps.append((id(optimizer), optimizer.param_groups[0]["lr"]))
    )
    try:
        train(settings, ignore, data=data)
    finally:
        hook.remove()
    first, second = dict.fromkeys(own for own, _ in steps)
    assert [own for own, _ in steps] == [first, second] * (len(steps) // 2)
    return [rate for own, rate in steps if own == first], [rate for own, rate in steps if own == second]


def test_one_cycle_rises_to_the_learning_rate_and_falls_step_by_step(digits_train: ImageDataset) -> None:
    settings = config(classes=(0,), epochs=3, images_per_class=40, batch_size=16, learning_rate=2e-3)
    generator, discriminator = learning_rates(settings, digits_train)
    steps = 3 * 5  # 40 images in half-batches of 8
    assert len(generator) == steps
    peak = 0.3 * (steps + 1) - 1
    expected = []
    for step in range(steps):  # half a cosine from 1/25 of the peak up, another down to 1/10,000 of the start
        rising = step <= peak
        part = step / peak if rising else (step - peak) / (steps - peak)
        start, end = (2e-3 / 25, 2e-3) if rising else (2e-3, 2e-3 / 25e4)
        expected.append(end + (start - end) * (1 + math.cos(math.pi * part)) / 2)
    assert generator == pytest.approx(expected, rel=1e-9)
    assert discriminator == pytest.approx(expected, rel=1e-9)
    assert max(generator) < 2e-3 * (1 + 1e-12)


def test_the_rate_is_halved_after_50_epochs_not_after_50_images(digits_train: ImageDataset) -> None:
    settings = config(
        classes=(0,), epochs=52, images_per_class=4, validation_images=10, batch_size=4, width=1, learning_rate=1e-4,
        schedule="halve-every-50",
    )  # fmt: skip
    generator, discriminator = learning_rates(settings, digits_train)
    assert generator == discriminator == [1e-4] * (50 * 2) + [5e-5] * (2 * 2)  # 2 steps an epoch


def test_a_constant_rate_stays(digits_train: ImageDataset) -> None:
    settings = config(classes=(0,), epochs=2, images_per_class=40, batch_size=16, schedule="constant")
    generator, discriminator = learning_rates(settings, digits_train)
    assert generator == discriminator == [1e-3] * 10


def pytorchs(schedule: str, peak: float, steps: int, epochs: int) -> list[float]:
    """The rate of each step, by PyTorch's own scheduler."""
    optimizer = Adam([nn.Parameter(torch.zeros(1))], peak)
    scheduler: LRScheduler
    if schedule == "one-cycle":
        scheduler = OneCycleLR(optimizer, peak, total_steps=steps * epochs + 1, cycle_momentum=False)
    elif schedule == "halve-every-50":
        scheduler = StepLR(optimizer, 50 * steps, gamma=0.5)
    else:
        scheduler = ConstantLR(optimizer, factor=1.0)
    rates: list[float] = []
    for _ in range(steps * epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (2, 1), (1, 5), (7, 4), (40, 3), (3, 120)])
@pytest.mark.parametrize("schedule", ["one-cycle", "halve-every-50", "constant"])
def test_rates_are_those_of_pytorchs_schedulers_epoch_by_epoch(schedule: str, steps: int, epochs: int) -> None:
    length = {"steps_per_epoch": steps, "epochs": epochs}
    parts = [range(epoch * steps, (epoch + 1) * steps) for epoch in range(epochs)]
    found = [optimisation.learning_rates(schedule, 3e-3, steps=part, **length) for part in parts]
    assert torch.cat(found).tolist() == pytest.approx(pytorchs(schedule, 3e-3, steps, epochs), rel=1e-9)


RATES, DECAYS = (1e-3, 1e-2, 3e-4), (0.0, 1e-2, 1e-3)


def whole_tensors() -> list[nn.Parameter]:
    """Of three members, float64: weights and a bias."""
    stream = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=stream).double()) for shape in ((6, 2, 3), (9,))]


def losses_of(parameters: list[nn.Parameter], target: float) -> Tensor:
    """One of each member, [3]."""
    parts = [torch.cat([each.flatten() for each in own]) for own in zip(*(p.chunk(3) for p in parameters), strict=True)]
    return torch.stack([((part - target) ** 4).sum() for part in parts])


def test_one_adam_of_all_members_is_an_adam_of_each() -> None:
    together = whole_tensors()
    alone = [[nn.Parameter(p.detach().chunk(3)[member].clone()) for p in together] for member in range(3)]
    theirs = [Adam(own, betas=(0.5, 0.999), weight_decay=decay) for own, decay in zip(alone, DECAYS, strict=True)]
    members = [0, 1, 2]
    adam = MemberAdam(together, betas=(0.5, 0.999), weight_decay=DECAYS)
    for step in range(6):
        if step == 3:  # the members' states go on elsewhere, in another order
            kept, members = [adam.state(member) for member in members], [2, 0, 1]
            together = [nn.Parameter(torch.cat([p.detach().chunk(3)[member] for member in members])) for p in together]
            adam = MemberAdam(together, betas=(0.5, 0.999), weight_decay=[DECAYS[member] for member in members])
            for place, member in enumerate(members):
                adam.load(place, kept[member])
        adam.set_rates([RATES[member] * (step + 1) for member in members])
        adam.step(losses_of(together, 0.3 * step))
        for member, optimizer in enumerate(theirs):
            optimizer.param_groups[0]["lr"] = RATES[member] * (step + 1)
            optimizer.zero_grad()
            torch.stack([((p - 0.3 * step) ** 4).sum() for p in alone[member]]).sum().backward()
            optimizer.step()
        for place, member in enumerate(members):
            for whole, own in zip(together, alone[member], strict=True):
                torch.testing.assert_close(whole.chunk(3)[place], own, rtol=1e-12, atol=1e-12)


def test_a_state_of_other_parameters_is_refused() -> None:
    parameters = whole_tensors()
    adam = MemberAdam(parameters, betas=(0.9, 0.999), weight_decay=DECAYS)
    adam.step(losses_of(parameters, 0.0))
    state: list[dict[str, Any]] = adam.state(0)
    with pytest.raises(ValueError, match="expected the state of 2 parameters, got 1"):
        adam.load(0, state[:1])
    with pytest.raises(ValueError, match="expected shape"):
        adam.load(0, state[::-1])
