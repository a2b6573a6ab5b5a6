"""The small training that tests of detectors share."""

from __future__ import annotations

from typing import Any

from adcore.config import TrainConfig
from tests.train_runs import ignore

__all__ = ["config", "ignore"]


def config(name: str, **changes: Any) -> TrainConfig:
    """Two experiments on digits, for two epochs."""
    settings: dict[str, Any] = {
        "detector": name, "dataset": "digits", "classes": (0, 3), "width": 4, "latent_size": 8, "epochs": 2,
        "sampling": "random", "images_per_class": 64, "validation_images": 60, "batch_size": 32,
    }  # fmt: skip
    return TrainConfig(**(settings | changes))
