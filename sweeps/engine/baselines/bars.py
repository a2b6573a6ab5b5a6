"""AUROC by class of the rows that have several."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from adcore.datasets import describe
from adcore.evaluation.figures import auroc_by_class
from sweeps.engine.baselines.table import Outcome

__all__ = ["write_bars"]


def write_bars(folder: Path, outcomes: Sequence[Outcome]) -> list[Path]:
    """One figure per row of several experiments; error bars are a standard deviation over the seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / f"{each.row.name}.png", each) for each in outcomes if len(each.by_class) > 1]


def _write(path: Path, outcome: Outcome) -> Path:
    classes, seeds = outcome.by_class, len(outcome.values)
    means = [statistics.fmean(values) for values in classes.values()]
    spreads = [statistics.stdev(values) if seeds > 1 else 0.0 for values in classes.values()]
    bounds = [(mean - spread, mean + spread) for mean, spread in zip(means, spreads, strict=True)]
    name, class_names = f"test, n {seeds}", describe(outcome.dataset).class_names
    figure = auroc_by_class(
        {name: means},
        [class_names[index] for index in classes],
        title=f"{outcome.row.name}: {outcome.protocol}",
        intervals={name: bounds} if seeds > 1 else None,
        xlabel=outcome.named_class,
    )
    figure.savefig(path, dpi=100)
    return path
