"""The end of a sweep: table, figure and the lines that a person reads."""

from __future__ import annotations

import csv
import dataclasses
import shlex
import statistics
from pathlib import Path
from typing import Any

from rich.table import Table

from adcore.config import TrainConfig
from adcore.datasets import DATASETS
from adcore.figures import auroc_by_class
from sweeps.engine.confirm import Confirmation
from sweeps.engine.plan import Plan
from sweeps.engine.record import SweepRecord
from sweeps.engine.settings import SweepSettings

__all__ = ["SeedAurocs", "commands", "mean_by_class", "winner_lines", "winner_table", "write_figure", "write_table"]

#: Test AUROC by seed and class.
SeedAurocs = dict[int, dict[int, float]]


def write_table(path: Path, record: SweepRecord) -> Path:
    """One row per configuration: sampled fields, state, last rung, mean and AUROC by class there."""
    classes = sorted(record.plan.base.classes)
    fields = list(record.plan.space.ranges)
    columns = ["configuration", "state", "epoch", *fields, "val_auroc_mean", *(f"val_auroc_{i}" for i in classes)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for block in sorted(record.blocks.values(), key=lambda b: (-(b.mean or -1.0), b.number)):
            row: dict[str, Any] = {"configuration": block.number, "state": block.state, **block.params}
            if block.values:
                row["epoch"] = epoch = max(block.values)
                for group, values in block.values[epoch].items():
                    row |= {f"val_auroc_{i}": v for i, v in zip(record.groups[group], values, strict=True)}
                if len(block.values[epoch]) == len(record.groups):
                    row["val_auroc_mean"] = block.mean_over(epoch, len(record.groups))
            writer.writerow(row)
    return path


def write_figure(path: Path, plan: Plan, winner: Confirmation, test: SeedAurocs) -> Path:
    """The winner's AUROC by class, validation beside test."""
    classes = sorted(plan.base.classes)
    names = DATASETS[plan.base.dataset].class_names
    by_class, on_test = winner.by_class(), mean_by_class(test)
    series = {"validation": [by_class[i] for i in classes], "test": [on_test[i] for i in classes]}
    figure = auroc_by_class(
        series, [names[i] for i in classes], title=f"{plan.base.dataset}: configuration {winner.block.number}"
    )
    figure.savefig(path, dpi=120)
    return path


def mean_by_class(test: SeedAurocs) -> dict[int, float]:
    """Mean over the seeds of each class's test AUROC."""
    return {index: statistics.fmean(v[index] for v in test.values()) for index in next(iter(test.values()))}


def winner_table(plan: Plan, winner: Confirmation, test: SeedAurocs) -> Table:
    """Validation and test AUROC of the winner by class, means over seeds."""
    names = DATASETS[plan.base.dataset].class_names
    on_test, on_validation = mean_by_class(test), winner.by_class()
    table = Table(title=f"AUROC of configuration {winner.block.number}, mean of {len(winner.by_seed)} fresh seeds")
    table.add_column("normal class")
    table.add_column("validation", justify="right")
    table.add_column("test", justify="right")
    for index, value in on_validation.items():
        table.add_row(f"{index} {names[index]}", f"{value:.4f}", f"{on_test[index]:.4f}")
    table.add_section()
    table.add_row(f"mean of {len(on_test)}", f"{winner.mean:.4f}", f"{statistics.fmean(on_test.values()):.4f}")
    return table


def winner_lines(record: SweepRecord, confirmed: list[Confirmation]) -> list[str]:
    """The confirmed configurations side by side, and the winner's sampled fields."""
    winner, default = confirmed[0], record.plan.space.points[record.plan.space.default]
    lines = ["search and confirm, validation AUROC, mean over classes:"]
    for each in confirmed:
        name = " (default)" if each.block.params == default else ""
        searched = f"{each.block.mean:.4f}" if each.block.mean is not None else each.block.state
        seeds = ", ".join(f"{mean:.4f}" for mean in each.means)
        lines.append(f"  configuration {each.block.number}{name}: search {searched}, confirm {each.mean:.4f} ({seeds})")
    lines.append(f"winner: configuration {winner.block.number}")
    lines += [f"  {name:28} {value:.5g}" for name, value in _fields(record.plan, winner)]
    return lines


def commands(record: SweepRecord, winner: Confirmation, settings: SweepSettings, name: str) -> list[str]:
    """The commands that open MLflow, resume the sweep and repeat the winner."""
    plan = record.plan
    config = dataclasses.replace(plan.base, **winner.block.params, train_seed=next(iter(winner.by_seed)))
    data = ["--data-dir", settings.data_dir] if settings.data_dir else []
    uri = settings.tracking_uri
    browse = f"mlflow ui --backend-store-uri {shlex.quote(uri)} --host 127.0.0.1" if uri.startswith("sqlite") else uri
    threads = f"OMP_NUM_THREADS={settings.cpus_per_trial}"
    return [
        f"browse:  {browse}",
        f"resume:  {resume_command(plan, settings, name)}",
        f"repeat:  {threads} {shlex.join(['python', '-m', 'adcore.train', *_changed(config), *data])}",
    ]


def resume_command(plan: Plan, settings: SweepSettings, name: str) -> str:
    """The command that goes on with this sweep."""
    words = ["python", f"sweeps/{plan.script}.py", "--resume", name]
    for field in dataclasses.fields(settings):
        given = getattr(settings, field.name)
        if field.name in ("storage", "tracking_uri", "address", "data_dir") and given != field.default:
            words += [f"--{field.name.replace('_', '-')}", str(given)]
    return shlex.join(words)


def _fields(plan: Plan, winner: Confirmation) -> list[tuple[str, float]]:
    fixed = {"weight_reconstruction": plan.base.weight_reconstruction}
    return [(name, value) for name, value in (fixed | winner.block.params).items()]


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
