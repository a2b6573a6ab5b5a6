"""What tests of the test part share: a sweep of two configurations whose confirmed models are trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from adcore.datasets import ImageDataset
from adcore.train import train
from adcore.train.checkpoints import Checkpoints, read
from sweeps.engine.planning.plan import Plan
from sweeps.engine.record.confirmation import Confirmation, confirmations
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.test_result import TestResult as Result
from tests.sweep_parts import record_of, small_plan

CLASSES = (0, 3)
MODELS = [(0, 1), (0, 2), (1, 1), (1, 2)]


def tiny_plan() -> Plan:
    plan = small_plan(CLASSES, configs=2, epochs=1)
    base = dataclasses.replace(plan.base, width=2, sampling="random")
    return dataclasses.replace(plan, base=base, seeds=2)


def confirmed_of(record: SweepRecord, home: SweepHome | None = None, *, count: int = 2) -> list[Confirmation]:
    """The first configurations, with recorded validation figures of every fresh seed: those of the models in `home`."""
    for number in range(record.plan.configs):
        record.propose(number)
    for number in range(count):
        for seed in record.plan.confirm_seeds:
            aurocs = {i: auroc_on_record(home, number, i, seed) for i in record.plan.classes}
            record.write_confirmed(number, seed, aurocs)
    return confirmations(record, list(record.configurations.values()))


def auroc_on_record(home: SweepHome | None, number: int, index: int, seed: int) -> float:
    path = home and home.checkpoint(number, index, seed)
    return read(path)[0].history[-1]["val_auroc"] if path and path.exists() else 0.9 - 0.1 * number


def trained_home(folder: Path, digits_train: ImageDataset) -> SweepHome:
    """The folder of a sweep whose confirmation has trained two configurations with two seeds."""
    home = SweepHome(folder)
    record = record_of(tiny_plan())
    confirmed_of(record)
    for number, seed in MODELS:
        config = dataclasses.replace(record.plan.base, learning_rate=1e-3 * (1 + 9 * number), train_seed=seed)
        checkpoints = Checkpoints(home.checkpoints_of(number, CLASSES, seed))
        train(config, lambda _: None, data=digits_train, checkpoints=checkpoints)
    return home


class Opened:
    """Opens the test part and counts how often; interrupted as often as it is told to be."""

    def __init__(self, data: ImageDataset, *, interrupted: int = 0) -> None:
        self.data, self.interrupted, self.count = data, interrupted, 0

    def __call__(self) -> ImageDataset:
        self.count += 1
        if self.count <= self.interrupted:
            raise KeyboardInterrupt
        return self.data


def never() -> ImageDataset:
    raise AssertionError("the test part was opened")


def same(one: Result, other: Result) -> bool:
    return (
        (one.measured, one.images) == (other.measured, other.images)
        and list(one.covariance) == list(other.covariance)
        and all(np.array_equal(one.covariance[name], other.covariance[name]) for name in one.covariance)
    )
