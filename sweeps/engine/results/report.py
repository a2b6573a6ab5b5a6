"""The end of a sweep: table, figure and the lines that a person reads."""

from __future__ import annotations

import csv
import dataclasses
import json
import shlex
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.datasets import DATASETS
from adcore.evaluation.figures import auroc_by_class
from adcore.files import write_whole
from sweeps.engine.machine.commands import browse_command, python
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.intervals import Interval
from sweeps.engine.results.per_class import PerClass
from sweeps.engine.results.summary import Summary
from sweeps.engine.results.test_part import TestResult
from sweeps.engine.search.confirm import Confirmation, references

__all__ = ["commands", "final_report", "write_figure", "write_summary", "write_table"]


def write_table(path: Path, record: SweepRecord, final: Mapping[int, Mapping[str, float]]) -> Path:
    """One row per configuration: sampled fields, state, how far up the ladder, the last AUROC of each class, the mean
    over all classes of a complete one.

    final: what is to be added, by configuration: `confirm_auroc_mean` and `test_auroc_mean`.
    """
    classes = sorted(record.plan.base.classes)
    columns = ["configuration", "state", "rung", "classes", "epochs", *record.plan.space.names, "val_auroc_mean"]
    columns += [*(f"val_auroc_{i}" for i in classes), "confirm_auroc_mean", "test_auroc_mean"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for own in sorted(record.configurations.values(), key=lambda one: (-one.rung, -(one.value or 0), one.number)):
            state = "" if record.plan.space.is_grid else own.state
            row: dict[str, Any] = {"configuration": own.number, "state": state, **own.params}
            if own.rung >= 0:
                rung = record.ladder.rungs[own.rung]
                row |= {"rung": own.rung + 1, "classes": rung.classes, "epochs": rung.epochs}
            row |= {f"val_auroc_{index}": values[-1] for index, values in own.curves.items() if values}
            row |= {"val_auroc_mean": own.mean, **final.get(own.number, {})}
            writer.writerow(row)
    return path


def write_figure(path: Path, plan: Plan, winner: Confirmation, test: TestResult) -> Path:
    """The winner's AUROC by class, validation beside test."""
    classes = sorted(plan.base.classes)
    names = DATASETS[plan.base.dataset].class_names
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
) -> Path:
    """Everything that the end of a sweep reports, as JSON: for other programs, and for docs/results.md."""
    winner = summary.winner
    metrics = next(iter(next(iter(test.measured.values())).values()))
    found = {
        "plan": record.plan.as_record(),
        "seconds": round(seconds),
        "states": record.counts(),
        "winner": {"configuration": winner.number, **winner.params},
        "seeds": list(winner.by_seed),
        "search": _plain(summary.search),
        "search_value": winner.configuration.mean,
        "confirm": _plain(summary.confirm),
        "test": {name: _plain(each) for name, each in summary.test.items()},
        "test_by_class": {metric: test.by_class(winner.number, metric) for metric in metrics},
        "confirmed": [
            {
                "configuration": each.number,
                "name": name,
                "params": each.params,
                "search": each.configuration.mean,
                "confirm": each.means,
                "test": test.means(each.number),
            }
            for each, name in zip(confirmed, point_names(record, confirmed), strict=True)
        ],
        "comparisons": [
            {"configuration": each.configuration, "name": each.name, "difference": _plain(each.difference)}
            for each in summary.comparisons
        ],
        "sentence": grid_sentence(record, confirmed, summary) if record.plan.space.is_grid else summary.sentence,
        "test_openings": record.read("test_openings"),
    }
    if per_class:
        found["per_class"] = per_class.as_record()
    return write_whole(path, json.dumps(found, indent=1) + "\n")  # --start-from of another sweep may read it


def _plain(each: Interval | None) -> dict[str, float] | None:
    return {"value": each.value, "low": each.low, "high": each.high} if each else None


def final_report(
    record: SweepRecord, confirmed: list[Confirmation], summary: Summary, test: TestResult
) -> list[str | Table]:
    """What a finished sweep prints: lines and tables, in order."""
    if record.plan.space.is_grid:
        return [grid_table(record, confirmed, summary, test), grid_sentence(record, confirmed, summary)]
    lines = winner_lines(record, confirmed, summary)
    return [*lines, class_table(record.plan, summary, test), stage_table(record, summary)]


def grid_table(record: SweepRecord, confirmed: list[Confirmation], summary: Summary, test: TestResult) -> Table:
    """Every point of a grid: its means, and its difference to the default one."""
    classes, seeds = len(record.plan.classes), _count(len(summary.winner.by_seed), "fresh seed")
    table = Table(title=f"AUROC, mean over {classes} classes and {seeds}")
    compared = (f"test, minus {record.plan.space.default}", "95 % interval", "") if summary.comparisons else ()
    for name in ("", "validation", "test", *compared):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    by_number = {each.configuration: each.difference for each in summary.comparisons}
    for each, name in zip(confirmed, point_names(record, confirmed), strict=True):
        values = f"{each.mean:.4f}", f"{statistics.fmean(test.means(each.number)):.4f}"
        lead = by_number.get(each.number)
        if lead is None:
            table.add_row(name, *values)
        else:
            verdict = "beyond noise" if lead.excludes_zero else "within noise"
            table.add_row(name, *values, f"{lead.value:+.4f}", f"({lead.low:+.4f}, {lead.high:+.4f})", verdict)
    return table


def grid_sentence(record: SweepRecord, confirmed: list[Confirmation], summary: Summary) -> str:
    """Which points differ from the default one by more than noise."""
    if not summary.comparisons:
        return f"{record.plan.space.default.capitalize()} did not train to the end: there is nothing to compare with."
    names = dict(zip((each.number for each in confirmed), point_names(record, confirmed), strict=True))
    beyond = [
        f"{names[each.configuration]} ({each.difference.value:+.4f})"
        for each in summary.comparisons
        if each.difference.excludes_zero
    ]
    differ = ", ".join(beyond) or "none"
    return f"Beyond noise from {record.plan.space.default}, of {len(summary.comparisons)} on the test part: {differ}."


def point_names(record: SweepRecord, confirmed: list[Confirmation]) -> list[str]:
    """The name of each configuration that is a point of the space, and "" of the others."""
    points = record.plan.space.points
    return [next((name for name, point in points.items() if point == each.params), "") for each in confirmed]


def stage_table(record: SweepRecord, summary: Summary) -> Table:
    """Search, confirm and test side by side."""
    plan, seeds = record.plan, len(summary.winner.by_seed)
    table = Table(title=f"AUROC of configuration {summary.winner.number}, mean over {len(plan.classes)} classes")
    for name in ("", "mean", "95 % interval"):
        table.add_column(name, justify="right" if name else "left")
    table.add_column("of")
    chosen = f"1 seed, the best of {plan.configs}"
    if summary.search is None and summary.winner.configuration.mean is not None:
        table.add_row(
            "search, validation", f"{summary.winner.configuration.mean:.4f}", "", f"{chosen}, smaller trainings"
        )
    elif summary.search is not None:
        table.add_row("search, validation", *_cells(summary.search), chosen)
    table.add_row("confirm, validation", *_cells(summary.confirm), f"{_count(seeds, 'fresh seed')}")
    for name, each in summary.test.items():
        models = "the same model" if seeds == 1 else f"the same {seeds} models"
        table.add_row(f"test, {name} anomalies" if name else "test", *_cells(each), models)
    return table


def class_table(plan: Plan, summary: Summary, test: TestResult) -> Table:
    """Validation and test AUROC of the winner by class, mean and standard deviation over seeds."""
    names, winner = DATASETS[plan.base.dataset].class_names, summary.winner
    comparisons = {name: test.by_class(winner.number, f"auroc_{name}".rstrip("_")) for name in test.covariance}
    table = Table(title=f"mean and standard deviation over {_count(len(winner.by_seed), 'fresh seed')}")
    table.add_column(plan.base.exposure.named_class)
    for name in ("validation", *(f"test {name}".rstrip() for name in comparisons)):
        table.add_column(name, justify="right", no_wrap=True)
    for index in winner.by_class():
        validated = [values[index] for values in winner.by_seed.values()]
        cells = [_mean_and_spread(each) for each in (validated, *(values[index] for values in comparisons.values()))]
        table.add_row(f"{index} {names[index]}", *cells)
    return table


def winner_lines(record: SweepRecord, confirmed: list[Confirmation], summary: Summary) -> list[str]:
    """The confirmed configurations side by side, the winner's sampled fields, and whether its lead is beyond noise."""
    winner, names = confirmed[0], {each.number: name for name, each in references(record).items()}
    lines = ["search and confirm, validation AUROC, mean over classes:"]
    for each in confirmed:
        name = f" ({names[each.number]})" if each.number in names else ""
        searched = f"{each.configuration.mean:.4f}" if each.configuration.mean is not None else each.configuration.state
        seeds = ", ".join(f"{mean:.4f}" for mean in each.means)
        lines.append(f"  configuration {each.number}{name}: search {searched}, confirm {each.mean:.4f} ({seeds})")
    lines.append(f"winner: configuration {winner.number}")
    lines += [f"  {name:28} {value:.5g}" for name, value in _fields(record.plan, winner)]
    for each in summary.comparisons[1:]:
        name, lead = f" ({each.name})" if each.name else "", each.difference
        between = f"{lead.value:+.4f} ({lead.low:+.4f}, {lead.high:+.4f})"
        lines.append(f"test, winner - configuration {each.configuration}{name}: {between}")
    lines.append(summary.sentence)
    if len(winner.by_seed) == 1:
        lines.append("With one fresh seed the intervals hold for other images alone, not for other seeds.")
    if (openings := len(record.read("test_openings"))) > 1:
        lines.append(f"The test part was opened {openings} times for this sweep: its values are no longer untouched.")
    return lines


def _cells(each: Interval) -> tuple[str, str]:
    return f"{each.value:.4f}", f"({each.low:.4f}, {min(each.high, 1):.4f})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("s" if number != 1 else "")


def _mean_and_spread(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def commands(record: SweepRecord, winner: Confirmation, settings: SweepSettings, resume: str) -> list[str]:
    """The commands that open MLflow, resume the sweep (given) and repeat the winner."""
    plan = record.plan
    config = dataclasses.replace(plan.base, **winner.params, train_seed=next(iter(winner.by_seed)))
    data = ["--data-dir", settings.data_dir] if settings.data_dir else []
    threads = f"OMP_NUM_THREADS={settings.cpus_per_trial}"
    return [
        f"browse:  {browse_command(settings.tracking_uri)}",
        f"resume:  {resume}",
        f"repeat:  {threads} {shlex.join([python(), '-m', 'adcore.train', *_changed(config), *data])}",
    ]


def _fields(plan: Plan, winner: Confirmation) -> list[tuple[str, float]]:
    weights = {f"weight_{name}" for name in LOSS_WEIGHTS} & set(winner.params)
    fixed = {"weight_reconstruction": plan.base.weight_reconstruction} if weights else {}  # the unit of the others
    return [(name, value) for name, value in (fixed | winner.params).items()]


def _changed(config: TrainConfig) -> list[str]:
    """Flags of every field that differs from its default."""
    words: list[str] = []
    for field in dataclasses.fields(config):
        value, flag = getattr(config, field.name), f"--{field.name.replace('_', '-')}"
        if field.name == "classes":
            words += [flag, ",".join(map(str, value))]
        elif value != field.default and isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif value != field.default:
            words += [flag, "all" if value is None else str(value)]
    return words
