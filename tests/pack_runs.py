"""Packs that mix configurations, and how their results are compared with those of single trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.train import TrainResult, train
from tests.detector_runs import config, ignore
from tests.train_runs import Metrics

#: What a capture is on a machine without a CUDA device: the steps before it, and the step itself at each replay.
WARM_UPS = 3


def without_graph(step: Callable[[], None]) -> Callable[[], None]:
    for _ in range(WARM_UPS):
        step()
    return step


def mixed(name: str, **changes: Any) -> list[TrainConfig]:
    """Three configurations that differ in all that decides no shape: weights, rates, classes, seeds, augmentation.

    GANs score with averaged weights.
    """
    common: dict[str, Any] = {"precision": "64-true", "average_weights": 0.9, **changes}
    return [
        config(name, **common, classes=(3,), learning_rate=3e-3, weight_abc=0.3, dropout=0.4, vae_score="elbo"),
        config(
            name, **common, train_seed=5, schedule="constant", crop=True, mirrored_scores=True, weight_decay=1e-3,
            reconstruction="l1", score_latent=0.5,
        ),
        config(name, **common, classes=(3,), weight_patch=0.0, split_seed=3, draws="each-epoch", bandwidth=0.2),
    ]  # fmt: skip


def own(metrics: Metrics, index: int) -> Metrics:
    return {name: value for name, value in metrics.items() if name.endswith(f"_{index}")}


def all_alone(configs: list[TrainConfig], data: ImageDataset) -> dict[tuple[int, int], list[Metrics]]:
    """The history of each experiment, by configuration and class, each trained by itself as the reference does it."""
    found: dict[tuple[int, int], list[Metrics]] = {}
    for place, each in enumerate(configs):
        for index in each.classes:
            alone = train(dataclasses.replace(each, classes=(index,)), ignore, data=data, strategy="plain")
            found[place, index] = [own(metrics, index) for metrics in alone.history]
    return found


def assert_as_alone(results: list[TrainResult], alone: dict[tuple[int, int], list[Metrics]], rel: float) -> None:
    for (place, index), history in alone.items():
        together = [own(metrics, index) for metrics in results[place].history]
        assert len(together) == len(history)
        for ours, theirs in zip(together, history, strict=True):
            assert len(ours) >= 5
            assert ours == pytest.approx(theirs, rel=rel)
