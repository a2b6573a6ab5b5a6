"""Means of a configuration's metrics, over its classes and over its seeds, as MLflow shows them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from adcore.metric_names import mean_metric

__all__ = ["of_validation", "over_classes", "over_seeds"]

#: AUROC's standard deviation over the classes, and that of its mean over the seeds.
CLASS_SPREAD, SEED_SPREAD = "val_auroc_std", "val_auroc_seed_std"


def of_validation(metrics: Mapping[str, float]) -> dict[str, float]:
    """The validation metrics among a class's metrics."""
    return {name: value for name, value in metrics.items() if name.startswith("val_")}


def over_classes(classes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Every validation metric's mean, and AUROC's spread."""
    means = {mean_metric(name): _mean([each[name] for each in classes]) for name in classes[0]}
    return means | {CLASS_SPREAD: _spread([each["val_auroc"] for each in classes])}


def over_seeds(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The means of what `over_classes` gives for each seed, and the spread of the mean AUROC."""
    means = {name: _mean([each[name] for each in seeds]) for name in seeds[0] if name != CLASS_SPREAD}
    return means | {SEED_SPREAD: _spread([each[mean_metric("val_auroc")] for each in seeds])}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    """Standard deviation; NaN if one of the values is, 0 for a single one."""
    if len(values) < 2:
        return 0.0
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
