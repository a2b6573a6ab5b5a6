"""Images of experiments as a training draws them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.protocols.definitions import Exposure
from adcore.protocols.experiments import Experiment, one_vs_rest
from adcore.protocols.splits import split

KMEANS_OR_RANDOM = pytest.mark.parametrize("sampling", ["kmeans", "random"])


def drawn(
    data: ImageDataset,
    exposure: Exposure | None = None,
    *,
    classes: tuple[int, ...] = tuple(range(10)),
    train_seed: int = 0,
    **changes: Any,
) -> list[Experiment]:
    settings: dict[str, Any] = {
        "sampling": "random", "clusters": 5, "split_seed": 0, "content_hash": data.content_hash,
    }  # fmt: skip
    if exposure:
        settings["exposure"] = exposure
    draw = one_vs_rest(data.images, data.labels, split(data.labels, split_seed=0).fit, **(settings | changes))
    return [draw(index, train_seed, 0) for index in classes]


def classes_of(data: ImageDataset, positions: torch.Tensor) -> set[int]:
    return set(data.labels[positions].tolist())
