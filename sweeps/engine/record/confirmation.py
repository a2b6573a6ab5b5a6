"""The configurations to confirm, and their recorded validation values of the metric with fresh seeds."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.record import SweepRecord

__all__ = ["Confirmation", "candidates", "confirmations", "references"]


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """A configuration's validation values of the metric with fresh seeds: seed -> class -> value."""

    configuration: Configuration
    by_seed: dict[int, dict[int, float]]

    @property
    def number(self) -> int:
        """The configuration's number."""
        return self.configuration.number

    @property
    def params(self) -> dict[str, Any]:
        """The configuration's sampled fields."""
        return self.configuration.params

    @property
    def means(self) -> list[float]:
        """Mean over the classes, one per seed."""
        return [statistics.fmean(values.values()) for values in self.by_seed.values()]

    @property
    def mean(self) -> float:
        """Mean over classes and seeds; NaN if one of the trainings diverged."""
        return statistics.fmean(self.means)

    def by_class(self) -> dict[int, float]:
        """Mean over the seeds, by class."""
        classes = next(iter(self.by_seed.values()))
        return {index: statistics.fmean(values[index] for values in self.by_seed.values()) for index in classes}


def candidates(record: SweepRecord) -> list[Configuration]:
    """The best complete configurations, best first, then the references; empty if none is complete."""
    plan = record.plan
    named = references(record)
    best = [each for each in record.best(plan.configs) if each not in named.values()][: plan.best]
    complete = [each for each in named.values() if each.mean is not None]
    return [*best, *named.values()] if best or complete else []


def references(record: SweepRecord) -> dict[str, Configuration]:
    """By name, if searched: the package's default and, if the scale trains them, the paper's weights."""
    plan = record.plan
    names = [plan.space.default, *([plan.space.paper] if plan.paper and plan.space.paper else [])]
    found: dict[str, Configuration] = {}
    for name in names:
        point = plan.space.points.get(name)
        if own := next((each for each in record.configurations.values() if each.params == point), None):
            found[name] = own
    return found


def confirmations(record: SweepRecord, chosen: Sequence[Configuration]) -> list[Confirmation]:
    """The recorded confirmations of the candidates, best mean first; without those that diverged with a fresh seed."""
    found: list[Confirmation] = []
    for own in chosen:
        by_seed = {seed: values for seed in record.plan.confirm_seeds if (values := record.confirmed(own.number, seed))}
        if by_seed and math.isfinite((each := Confirmation(own, by_seed)).mean):
            found.append(each)
    if record.plan.space.is_grid:  # nothing wins: the points keep their order, the default one first
        return found
    return sorted(found, key=lambda each: (-record.goodness(each.mean), each.configuration.number))
