"""Means of a configuration's metrics, over its classes and over its seeds, as MLflow shows them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from adcore.metric_names import mean_metric

__all__ = ["of_validation", "over_classes", "over_seeds", "seed_spread"]


def of_validation(metrics: Mapping[str, float]) -> dict[str, float]:
    """The validation metrics among a class's metrics."""
    return {name: value for name, value in metrics.items() if name.startswith("val_")}


def over_classes(classes: Sequence[Mapping[str, float]], metric: str) -> dict[str, float]:
    """Every validation metric's mean, and the standard deviation of the sweep's metric."""
    means = {mean_metric(name): _mean([metrics[name] for metrics in classes]) for name in classes[0]}
    return means | {_class_spread(metric): _spread([metrics[f"val_{metric}"] for metrics in classes])}


def over_seeds(seeds: Sequence[Mapping[str, float]], metric: str) -> dict[str, float]:
    """The means of what `over_classes` gives for each seed, and the standard deviation of the metric's mean."""
    means = {name: _mean([metrics[name] for metrics in seeds]) for name in seeds[0] if name != _class_spread(metric)}
    return means | {seed_spread(metric): _spread([metrics[mean_metric(f"val_{metric}")] for metrics in seeds])}


def seed_spread(metric: str) -> str:
    """The name of the standard deviation over the seeds of a metric's mean."""
    return f"val_{metric}_seed_std"


def _class_spread(metric: str) -> str:
    return f"val_{metric}_std"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    """Standard deviation; NaN if one of the values is, 0 for a single one."""
    if len(values) < 2:
        return 0.0
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
