"""Names of metrics: val_auroc_3 is val_auroc of class 3, val_auroc_mean its mean over the classes.

And which metrics a sweep can be run for, and which way they are better.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "LABELS",
    "MINIMISED",
    "by_class",
    "class_metric",
    "goodness",
    "in_words",
    "interval_ends",
    "mean_metric",
    "of_class",
    "with_interval",
]

#: The metrics that a sweep can be run for, as they are shown.
LABELS: Mapping[str, str] = MappingProxyType({"auroc": "AUROC", "ap": "average precision", "fpr95": "FPR at 95 % TPR"})
#: Those of which a lower value is better.
MINIMISED = ("fpr95",)


def goodness(metric: str, value: float) -> float:
    """A metric's value, in [0, 1], as a number in [0, 1] that is higher for a better model."""
    return 1 - value if metric in MINIMISED else value


def in_words(metric: str) -> str:
    """A metric of LABELS for a heading: with a note if a lower value is better."""
    return LABELS[metric] + (" (lower is better)" if metric in MINIMISED else "")


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


def interval_ends(low: float, high: float) -> str:
    """The ends of a metric's interval, cut at 0 and 1; without any variation, as where all is ranked right, none."""
    return "no variation" if low == high else f"{max(low, 0):.4f} to {min(high, 1):.4f}"


def with_interval(value: float, low: float, high: float) -> str:
    """A metric with its 95 % interval."""
    if low == high:
        return f"{value:.4f} (no variation among the images, so no interval)"
    return f"{value:.4f} (95 % interval {interval_ends(low, high)})"
