"""The cost of one weight vector for all classes: each class's own best configuration beside the common winner."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rich.table import Table

from adcore.datasets import describe
from adcore.metric_names import MINIMISED, in_words
from sweeps.engine.planning.labels import class_label, count_of
from sweeps.engine.planning.plan import Plan
from sweeps.engine.record.confirmation import Confirmation, confirmations
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.intervals import Interval, signed
from sweeps.engine.results.summary import difference
from sweeps.engine.results.test_result import OWN_BEST, TestResult

__all__ = ["PerClass", "choose_own_best", "compare_per_class"]


@dataclasses.dataclass(frozen=True)
class PerClass:
    """The common winner and each class's own best, with what they reach on the test part.

    cost: ten-class mean of the own best minus the winner's, same seeds and same images.
    """

    plan: Plan
    winner: Confirmation
    own_best: Mapping[int, Confirmation]
    test: TestResult
    cost: Interval

    @property
    def sentence(self) -> str:
        """The cost of one weight vector, and whether that is more than noise."""
        cost, seeds = self.cost, len(self.winner.by_seed)
        verdict = "beyond noise" if cost.excludes_zero else "within noise"
        ends = (cost.value, cost.low, cost.high)
        if self.plan.metric in MINIMISED:  # to have more of it is a cost
            ends = (-cost.value, -cost.high, -cost.low)
        value, low, high = map(signed, ends)
        return (
            f"One weight vector for all {len(self.own_best)} classes costs {value} {in_words(self.plan.metric)} "
            f"(95 % interval {low} to {high}, {count_of(seeds, 'seed')}): {verdict}."
        )

    def table(self) -> Table:
        """Test values by class, mean over the seeds."""
        of = f"one configuration for all {len(self.own_best)} classes and one for each"
        table = Table(title=f"test {in_words(self.plan.metric)}, {of}")
        table.add_column(self.plan.base.exposure.named_class)
        for name in ("common winner", "own best", "difference"):
            table.add_column(name, justify="right")
        names, winner_values, own_values = describe(self.plan.base.dataset).class_names, *self._values()
        for index in self.own_best:
            pair = fmean(winner_values[index]), fmean(own_values[index])
            table.add_row(class_label(names, index), *(f"{v:.4f}" for v in pair), signed(pair[1] - pair[0]))
        means = (f"{fmean(self.test.means(number)):.4f}" for number in (self.winner.number, OWN_BEST))
        value, low, high = map(signed, (self.cost.value, self.cost.low, self.cost.high))
        table.add_row("mean", *means, f"{value} ({low}, {high})")
        return table

    def metrics(self) -> dict[str, float]:
        """Metrics of the sweep's own run, by MLflow name."""
        name = f"test_{self.plan.metric}_own_best"
        return {
            f"{name}_mean": fmean(self.test.means(OWN_BEST)),
            f"{name}_difference": self.cost.value,
            f"{name}_difference_low": self.cost.low,
            f"{name}_difference_high": self.cost.high,
        }

    def as_record(self) -> dict[str, Any]:
        """Plain values, for results.json."""
        _, own_values = self._values()
        by_class = {
            str(index): {
                "configuration": confirmation.number,
                "params": confirmation.params,
                "confirm": [values[index] for values in confirmation.by_seed.values()],
                "test": own_values[index],
            }
            for index, confirmation in self.own_best.items()
        }
        return {
            "by_class": by_class,
            "test": self.test.means(OWN_BEST),
            "difference": {"value": self.cost.value, "low": self.cost.low, "high": self.cost.high},
            "sentence": self.sentence,
        }

    def _values(self) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
        """Test values by class and seed: of the common winner, and of the own best."""
        return self.test.by_class(self.winner.number), self.test.by_class(OWN_BEST)


def choose_own_best(winner: Confirmation, records: Mapping[int, SweepRecord]) -> dict[int, Confirmation]:
    """By class, the best confirmed configuration: of its own search's best and the common winner, which wins ties."""
    best_by_class: dict[int, Confirmation] = {}
    for index, record in sorted(records.items()):
        class_confirmations = confirmations(record, record.best(record.plan.best))
        best_by_class[index] = max(
            (winner, *class_confirmations), key=lambda confirmation: record.goodness(confirmation.by_class()[index])
        )
    return best_by_class


def compare_per_class(
    plan: Plan, confirmed: Sequence[Confirmation], own_best: Mapping[int, Confirmation], test: TestResult
) -> PerClass:
    """The winner, the first of `confirmed`, beside each class's own best.

    The seed variance is pooled over the confirmed configurations and OWN_BEST. If a class's own best is the winner,
    both are the same models, and the difference varies less than the interval says.
    """
    numbers = [each.number for each in confirmed]
    return PerClass(plan, confirmed[0], own_best, test, difference([*numbers, OWN_BEST], test, OWN_BEST, numbers[0]))
