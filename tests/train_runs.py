"""A short training on digits, how it is interrupted, and how two of them are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.train import TrainResult, train

Metrics = dict[str, float]


class InterruptedRunError(Exception):
    """Stands for the end of a process."""


def config(**changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {"dataset": "digits", "classes": (0, 3), "width": 4, "epochs": 3, "sampling": "random"}
    return TrainConfig(**(settings | changes))


def trained(data: ImageDataset, detector: str, **changes: Any) -> tuple[TrainConfig, TrainResult]:
    """A configuration of a detector, for one epoch if nothing else is asked for, and its training."""
    settings = config(**({"detector": detector, "epochs": 1} | changes))
    return settings, train(settings, ignore, data=data)


def comparable(history: list[Metrics]) -> list[Metrics]:
    """Without the only number that is about the machine."""
    return [{name: value for name, value in metrics.items() if name != "images_per_second"} for metrics in history]


def interrupt_after(epoch: int) -> Callable[[Any], None]:
    """A listener that ends a run once this epoch is reported, be it of one configuration or by one of several."""

    def report(metrics: Metrics | list[Metrics | None]) -> None:
        of_each = metrics if isinstance(metrics, list) else [metrics]
        if any(each and each["epoch"] == epoch for each in of_each):
            raise InterruptedRunError

    return report


def same_weights(first: TrainResult, second: TrainResult) -> bool:
    ours, theirs = first.detector.state_dict(), second.detector.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


def ignore(_: object) -> None:
    """Stands for a listener."""
