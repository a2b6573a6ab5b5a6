"""The configurations to confirm, and their recorded validation values of the metric with fresh seeds."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

from sweeps.engine.record.clock import CHOSEN
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.record import SweepRecord

__all__ = ["Confirmation", "candidates", "chosen_in_time", "confirmations", "references"]


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
    plan, named = record.plan, references(record)
    if record.read("test") is not None:  # a reference that failed throughout was left out when that was opened
        named = {name: each for name, each in named.items() if each.state != "failed" or _is_confirmed(record, each)}
    best = [configuration for configuration in record.best(plan.configs) if configuration not in named.values()]
    complete = [configuration for configuration in named.values() if configuration.mean is not None]
    return [*best[: plan.best], *named.values()] if best or complete else []


def _is_confirmed(record: SweepRecord, configuration: Configuration) -> bool:
    return all(record.complete_confirmation(configuration.number, seed) for seed in record.plan.confirm_seeds)


def chosen_in_time(record: SweepRecord, candidates: Sequence[Configuration]) -> list[Configuration]:
    """Those that a limit, perhaps of an earlier run, has chosen to be confirmed; all if there was none."""
    chosen = record.read(CHOSEN)
    return [each for each in candidates if chosen is None or each.number in chosen]


def references(record: SweepRecord) -> dict[str, Configuration]:
    """By name, if searched: the package's default and, if the scale trains them, the paper's weights."""
    by_name: dict[str, Configuration] = {}
    for name in record.plan.reference_points:
        point = record.plan.space.points[name]
        matching = (each for each in record.configurations.values() if each.params == point)
        if configuration := next(matching, None):
            by_name[name] = configuration
    return by_name


def confirmations(record: SweepRecord, chosen: Sequence[Configuration]) -> list[Confirmation]:
    """The recorded confirmations of the candidates, best mean first; without those that diverged with a fresh seed."""
    complete: list[Confirmation] = []
    for configuration in chosen:
        by_seed = {
            seed: values
            for seed in record.plan.confirm_seeds
            if (values := record.complete_confirmation(configuration.number, seed))
        }
        if by_seed and math.isfinite((confirmation := Confirmation(configuration, by_seed)).mean):
            complete.append(confirmation)
    if record.plan.space.is_grid:  # nothing wins: the points keep their order, the default one first
        return complete
    return sorted(
        complete,
        key=lambda confirmation: (-record.goodness(confirmation.mean), confirmation.configuration.number),
    )
