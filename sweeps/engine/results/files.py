"""The files of a finished sweep: table, figure and results.json."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adcore.datasets import describe
from adcore.evaluation.figures import auroc_by_class
from adcore.files import write_whole
from adcore.metric_names import class_metric, in_words, mean_metric
from sweeps.engine.planning.labels import point_name
from sweeps.engine.planning.plan import Plan
from sweeps.engine.record.clock import CHOSEN
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.extend import earlier_sizes
from sweeps.engine.record.progress import CLOCK
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.intervals import Interval
from sweeps.engine.results.per_class import PerClass
from sweeps.engine.results.summary import Summary, class_intervals
from sweeps.engine.results.tables import grid_sentence, point_names
from sweeps.engine.results.test_result import TestResult

__all__ = ["write_figure", "write_summary", "write_table"]


def write_table(path: Path, record: SweepRecord, final: Mapping[int, Mapping[str, float]]) -> Path:
    """One row per configuration: the name of a point, its rank among the confirmed ones (1 is the winner), state, how
    far up the ladder, sampled fields, the search's last value of each class (`search_auroc_3`), the mean over all
    classes of a complete one (`search_auroc_mean`).

    final: `confirm_auroc_mean` and `test_auroc_mean`, or of another metric, by confirmed configuration, best first.
    """
    classes, metric = sorted(record.plan.base.classes), record.plan.metric
    metric_name = f"search_{metric}"
    columns = [
        "configuration",
        "name",
        "rank",
        "state",
        "rung",
        "classes",
        "epochs",
        *record.plan.space.names,
        mean_metric(metric_name),
    ]
    columns += [class_metric(metric_name, index) for index in classes]
    columns += [mean_metric(f"{part}_{metric}") for part in ("confirm", "test")]
    ranks = {number: rank for rank, number in enumerate(final, 1)}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for configuration in sorted(record.configurations.values(), key=partial(_sort_key, record, ranks)):
            row: dict[str, Any] = {"configuration": configuration.number, **configuration.params}
            row["name"] = point_name(configuration.params, record.plan.space)
            if not record.plan.space.is_grid:  # nothing wins in a grid
                row |= {"rank": ranks.get(configuration.number), "state": configuration.state}
            if configuration.rung >= 0:
                rung = record.ladder.rungs[configuration.rung]
                row |= {"rung": configuration.rung + 1, "classes": rung.classes, "epochs": rung.epochs}
            row |= {
                class_metric(metric_name, index): values[-1] for index, values in configuration.curves.items() if values
            }
            row |= {mean_metric(metric_name): configuration.mean, **final.get(configuration.number, {})}
            writer.writerow(row)
    return path


def _sort_key(record: SweepRecord, ranks: Mapping[int, int], configuration: Configuration) -> tuple[float, ...]:
    """For sorting: the confirmed ones by rank, then the furthest and best first."""
    return (
        math.inf if record.plan.space.is_grid else ranks.get(configuration.number, math.inf),
        -configuration.rung,
        0.0 if configuration.value is None else -record.goodness(configuration.value),
        configuration.number,
    )


def write_figure(path: Path, plan: Plan, winner: Confirmation, test: TestResult) -> Path:
    """The winner's metric by class, validation beside test."""
    classes = sorted(plan.base.classes)
    names = describe(plan.base.dataset).class_names
    by_class, on_test = winner.by_class(), test.by_class(winner.number)
    series = {
        "validation": [by_class[i] for i in classes],
        "test": [statistics.fmean(on_test[i]) for i in classes],
    }
    figure = auroc_by_class(
        series,
        [names[i] for i in classes],
        title=f"{plan.base.dataset}: configuration {winner.number}",
        xlabel=plan.base.exposure.named_class,
        ylabel=in_words(plan.metric),
    )
    figure.savefig(path, dpi=120)
    return path


def write_summary(
    path: Path,
    record: SweepRecord,
    confirmed: list[Confirmation],
    summary: Summary,
    test: TestResult,
    seconds: float,
    per_class: PerClass | None = None,
    *,
    time_sentences: Sequence[str] = (),
) -> Path:
    """All results of a finished sweep as JSON: for other programs, and for docs/results.md.

    time_sentences: what a time limit has changed.
    """
    winner, names = summary.winner, point_names(record, confirmed)
    metrics = next(iter(next(iter(test.measured.values())).values()))
    results = {
        "plan": record.plan.as_record(),
        "class_names": describe(record.plan.base.dataset).class_names,
        "seconds": round(seconds),
        "states": record.ledger.counts(),
        "winner": {"configuration": winner.number, **winner.params},
        "seeds": list(winner.by_seed),
        "search": _interval_record(summary.search),
        "search_value": winner.configuration.mean,
        "confirm": _interval_record(summary.confirm),
        "test": {name: _interval_record(each) for name, each in summary.test.items()},
        "validation_by_class": {
            index: [values[index] for values in winner.by_seed.values()] for index in winner.by_class()
        },
        "test_by_class": {metric: test.by_class(winner.number, metric) for metric in metrics},
        f"test_{test.metric}_by_class": {
            index: _interval_record(each) for index, each in class_intervals(confirmed, test).items()
        },
        "confirmed": [
            {
                "configuration": each.number,
                "name": names[each.number],
                "params": each.params,
                "search": each.configuration.mean,
                "confirm": each.means,
                "test": test.means(each.number),
            }
            for each in confirmed
        ],
        "comparisons": [
            {"configuration": each.configuration, "name": each.name, "difference": _interval_record(each.difference)}
            for each in summary.comparisons
        ],
        "sentence": grid_sentence(record, confirmed, summary) if record.plan.space.is_grid else summary.sentence,
        "decisions": record.read("decisions"),
        "extended_from": earlier_sizes(record),
        "test_openings": record.read("test_openings"),
    }
    if clock := record.read(CLOCK):
        results["time"] = {
            "limit": clock["limit"],
            "used": round(clock["used"]),
            "confirmed": record.read(CHOSEN),
            "sentences": list(time_sentences),
        }
    if per_class:
        results["per_class"] = per_class.as_record()
    return write_whole(path, json.dumps(results, indent=1) + "\n")  # --start-from of another sweep may read it


def _interval_record(interval: Interval | None) -> dict[str, float] | None:
    is_known = interval is not None and math.isfinite(interval.half)
    return {"value": interval.value, "low": interval.low, "high": interval.high} if interval and is_known else None
