"""Rows of the table of baselines, and how much of each a scale trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from adcore.config import TrainConfig
from adcore.datasets import describe
from adcore.protocols.definitions import FOLDS

__all__ = ["TABLE_SCALES", "Baseline", "TableScale"]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A system under its protocol. train: the TrainConfig fields of its full scale that differ from the defaults.

    source: who reports `reported`, a mean AUROC over `classes` on the test part, or, with cross_validated, the mean
    accuracy over the folds; None: no figure for this protocol is known. differs: how data, split, score or weights
    differ from what its source measured.
    """

    name: str
    source: str
    reported: float | None
    train: Mapping[str, Any]
    classes: tuple[int, ...] = ()
    cross_validated: bool = False
    differs: str = ""

    @property
    def metric(self) -> str:
        """The metric that is reported."""
        return f"accuracy, {FOLDS} folds" if self.cross_validated else "AUROC"

    def config(self, scale: TableScale, index: int, *, seed: int, fold: int | None) -> TrainConfig:
        """The training of one experiment, named by its class."""
        fields = {**self.train, "classes": (index,), "train_seed": seed, "fold": fold}
        for name, cap in scale.caps.items():
            value = fields.get(name, TrainConfig.__dataclass_fields__[name].default)
            fields[name] = cap if value is None else min(value, cap)
        return TrainConfig(**{**fields, **scale.train})

    def experiments(self, scale: TableScale) -> tuple[int, ...]:
        """The experiments that a scale trains."""
        dataset = scale.train.get("dataset", self.train.get("dataset", TrainConfig.dataset))
        return (self.classes or tuple(range(len(describe(dataset).class_names))))[: scale.classes]


@dataclasses.dataclass(frozen=True)
class TableScale:
    """caps: upper limits of some TrainConfig fields; train: fields that are the same for all rows."""

    caps: Mapping[str, int]
    train: Mapping[str, Any]
    classes: int
    seeds: int


TABLE_SCALES: Mapping[str, TableScale] = MappingProxyType(
    {
        "smoke": TableScale({"epochs": 2, "width": 8}, {"dataset": "digits", "batch_size": 32}, classes=2, seeds=1),
        "laptop": TableScale(
            {"epochs": 8, "width": 8, "images_per_class": 1500, "validation_images": 2500}, {}, classes=10, seeds=1
        ),
        "full": TableScale({}, {}, classes=10, seeds=3),
    }
)
