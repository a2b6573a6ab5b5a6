"""Learning rates over a training."""

from __future__ import annotations

import math

import pytest
from torch.optim.optimizer import register_optimizer_step_pre_hook

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
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
