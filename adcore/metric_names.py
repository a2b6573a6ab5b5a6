"""Names of metrics: val_auroc_3 is val_auroc of class 3, val_auroc_mean its mean over the classes."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["by_class", "class_metric", "mean_metric", "of_class"]


def class_metric(name: str, index: int) -> str:
    """The name of a metric of one class."""
    return f"{name}_{index}"


def mean_metric(name: str) -> str:
    """The name of a metric's mean over the classes."""
    return f"{name}_mean"


def of_class(metrics: Mapping[str, float], index: int) -> dict[str, float]:
    """The metrics of one class, by name without the class."""
    split = ((name.rpartition("_"), value) for name, value in metrics.items())
    return {stem: value for (stem, _, ending), value in split if ending == str(index)}


def by_class(metrics: Mapping[str, float], name: str) -> dict[int, float]:
    """A metric's values by class."""
    split = ((key.rpartition("_"), value) for key, value in metrics.items())
    return {int(ending): value for (stem, _, ending), value in split if stem == name and ending.isdigit()}
