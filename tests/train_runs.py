"""A short training on digits, and how two of them are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from adcore.config import TrainConfig
from adcore.train import TrainResult

Metrics = dict[str, float]


class InterruptedRunError(Exception):
    """Stands for the end of a process."""


def config(**changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {"dataset": "digits", "classes": (0, 3), "width": 4, "epochs": 3, "sampling": "random"}
    return TrainConfig(**(settings | changes))


def comparable(history: list[Metrics]) -> list[Metrics]:
    """Without the only number that is about the machine."""
    return [{name: value for name, value in metrics.items() if name != "images_per_second"} for metrics in history]


def interrupt_after(epoch: int) -> Callable[[Metrics], None]:
    def report(metrics: Metrics) -> None:
        if metrics["epoch"] == epoch:
            raise InterruptedRunError

    return report


def same_weights(first: TrainResult, second: TrainResult) -> bool:
    ours, theirs = first.detector.state_dict(), second.detector.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


def ignore(_: Metrics) -> None:
    pass
