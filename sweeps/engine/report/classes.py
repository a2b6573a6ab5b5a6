"""What the report says by class: the winner's values, intervals and decisions, and each class's own best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from adcore.datasets import describe
from adcore.metric_names import in_words
from sweeps.engine.planning.labels import class_label
from sweeps.engine.planning.plan import Plan
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.report.table import Bounded, Table, bounded, interval_cells, mean_cell, number

__all__ = ["class_intervals", "class_table", "own_best_table"]

#: What the winner's models decide on the test part, and its name in results.json.
DECISIONS = MappingProxyType({"anomalies found": "recall", "normal images flagged": "fpr"})


def class_table(record: SweepRecord, results: Mapping[str, Any]) -> Table:
    """The winner by class: means over its seeds, the interval on the test part, and what one seed's models decide."""
    plan, winner = record.plan, results["winner"]["configuration"]
    names, intervals = describe(plan.base.dataset).class_names, results.get(f"test_{plan.metric}_by_class", {})
    confirmed = [record.confirmation_values(winner, seed) for seed in results["seeds"]]
    rows: list[Sequence[str]] = []
    for index in sorted(plan.classes):
        values = results["test_by_class"][plan.metric][str(index)]
        cells = interval_cells(intervals.get(str(index)))
        validation = mean_cell([aurocs[index] for aurocs in confirmed if index in aurocs])
        decisions = _decision_cells(results, index)
        rows.append([class_label(names, index), validation, mean_cell(values), cells[1], *decisions])
    columns = plan.base.exposure.named_class, "validation", "test", "95 % interval", *DECISIONS
    return Table(f"{in_words(plan.metric)} by class", columns, rows)


def _decision_cells(results: Mapping[str, Any], index: int) -> list[str]:
    """What is found and flagged of a class; dashes if that is not on record."""
    decisions = (results.get("decisions") or {}).get("by_class", {}).get(str(index))
    return [number(None) if decisions is None else f"{decisions[name]:.1%}" for name in DECISIONS.values()]


def own_best_table(plan: Plan, per_class: Mapping[str, Any]) -> tuple[Table, str]:
    """Each class's own best configuration, and the sentence about them. per_class: of results.json."""
    names = describe(plan.base.dataset).class_names
    rows = [
        [class_label(names, int(index)), str(best["configuration"]),
         mean_cell(best["confirm"]), mean_cell(best["test"]),
         *(number(best["params"][name]) for name in plan.space.names)]
        for index, best in per_class["by_class"].items()
    ]  # fmt: skip
    columns = (plan.base.exposure.named_class, "configuration", "confirmed", "test", *plan.space.names)
    return Table("each class's own best configuration", columns, rows), per_class["sentence"]


def class_intervals(plan: Plan, results: Mapping[str, Any]) -> dict[str, Bounded]:
    """The winner's test values with their intervals, by the classes' names."""
    names = describe(plan.base.dataset).class_names
    intervals = results.get(f"test_{plan.metric}_by_class", {})
    return {class_label(names, int(index)): bounded(interval) for index, interval in intervals.items() if interval}
