"""The table of baselines: reported figures beside those measured here."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from adcore.config import TrainConfig
from adcore.files import write_whole
from sweeps.engine.baselines.plan import BaselinePlan
from sweeps.engine.baselines.rows import Baseline
from sweeps.engine.record.attributes import Attributes

__all__ = ["Outcome", "read_outcomes", "rich_table", "write_csv", "write_json", "write_markdown"]

HEADER = ("system", "protocol", "reported", "ours", "difference", "of decisions", "minutes")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results of a row. values: the mean over the experiments, one per seed; with folds, one per fold and seed.

    named_class: the role of the class that names an experiment. decisions: AUROC of the decisions at the threshold with
    most correct ones on validation, mean over experiments and seeds; None for a cross-validation. by_class:
    one value per seed, or per fold and seed. seconds: of all experiments, per seed.
    """

    row: Baseline
    dataset: str
    protocol: str
    named_class: str
    values: list[float]
    decisions: float | None
    by_class: dict[int, list[float]]
    metrics: dict[str, float]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean over the seeds, or the folds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds, or the folds; None for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Ours minus the reported figure; None without one, and on other data than the report's."""
        of_report = self.row.train.get("dataset", TrainConfig.dataset)
        return None if self.row.reported is None or self.dataset != of_report else self.mean - self.row.reported

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells under HEADER."""
        reported, spread = self.row.reported, self.spread
        of = "folds" if self.row.cross_validated else "seed" if len(self.values) == 1 else "seeds"
        ours = f"{self.mean:.4f}" + ("" if spread is None else f" ± {spread:.4f}") + f" (n {len(self.values)} {of})"
        return (
            self.row.name,
            f"{self.protocol}, {self.row.metric}",
            "-" if reported is None else f"{reported:g}",
            ours,
            "-" if self.difference is None else f"{self.difference:+.4f}",
            "-" if self.decisions is None else f"{self.decisions:.4f}",
            f"{self.seconds / 60:.1f}",
        )


def read_outcomes(plan: BaselinePlan, record: Attributes) -> list[Outcome]:
    """The rows whose trainings are all on record for at least one seed."""
    attributes = record.all()
    outcomes = [_outcome(plan, attributes, place) for place in plan.rows]
    return [each for each in outcomes if each]


def _outcome(plan: BaselinePlan, attributes: Mapping[str, Any], place: int) -> Outcome | None:
    row, numbers = plan.rows[place], plan.configurations(place)
    trainings = [training for training in plan.trainings if training.configuration in numbers]
    by_seed: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for seed in dict.fromkeys(training.seed for training in trainings):
        trainings_of_seed = [training for training in trainings if training.seed == seed]
        if all(training.key in attributes for training in trainings_of_seed):
            by_seed[seed] = [(training.index, attributes[training.key]) for training in trainings_of_seed]
    if not by_seed:
        return None
    results = [each for own in by_seed.values() for each in own]
    name = "val_accuracy" if row.cross_validated else "test_auroc"
    per_seed = [[result["metrics"][name] for _, result in own] for own in by_seed.values()]
    decisions = [r["metrics"]["test_auroc_of_decisions"] for _, r in results if not row.cross_validated]
    indices = sorted({index for index, _ in results})
    common = set.intersection(*(set(result["metrics"]) for _, result in results))
    config = plan.config(trainings[0])
    return Outcome(
        row=row,
        dataset=config.dataset,
        protocol=_protocol(config.dataset, config.protocol, row.experiments(plan.table_scale)),
        named_class=config.exposure.named_class,
        values=[v for own in per_seed for v in own] if row.cross_validated else [statistics.fmean(v) for v in per_seed],
        decisions=statistics.fmean(decisions) if decisions else None,
        by_class={i: [r["metrics"][name] for index, r in results if index == i] for i in indices},
        metrics={each: statistics.fmean(r["metrics"][each] for _, r in results) for each in sorted(common)},
        seconds=sum(result["seconds"] for _, result in results) / len(by_seed),
    )


def _protocol(dataset: str, protocol: str, classes: tuple[int, ...]) -> str:
    which = f"class {classes[0]}" if len(classes) == 1 else f"mean over {len(classes)} classes"
    return f"{dataset}, {protocol}, {which}"


def rich_table(outcomes: Sequence[Outcome], scale: str) -> Table:
    """The table for a terminal."""
    table = Table(title=f"baselines, scale {scale}; test AUROC, mean ± standard deviation")
    for name in HEADER:
        table.add_column(name, justify="left" if name in HEADER[:2] else "right")
    for each in outcomes:
        table.add_row(*each.cells)
    return table


def write_csv(path: Path, outcomes: Sequence[Outcome]) -> Path:
    """Every figure of every row, unrounded; spread and differences as in the table."""
    extra = sorted({name for each in outcomes for name in each.metrics})
    columns = ["system", "protocol", "metric", "source", "reported", "mean", "spread", "n", "seconds", *extra]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for each in outcomes:
        row = {"system": each.row.name, "protocol": each.protocol, "metric": each.row.metric}
        row |= {"source": each.row.source, "reported": each.row.reported, "mean": each.mean, "spread": each.spread}
        writer.writerow({**row, "n": len(each.values), "seconds": each.seconds, **each.metrics})
    return write_whole(path, text.getvalue())


def write_markdown(path: Path, outcomes: Sequence[Outcome]) -> Path:
    """The table as Markdown, with the source of each reported figure."""
    header = (*HEADER, "source")
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join((*each.cells, each.row.source))} |" for each in outcomes]
    return write_whole(path, "\n".join(lines) + "\n")


def write_json(path: Path, plan: BaselinePlan, outcomes: Sequence[Outcome]) -> Path:
    """The rows as JSON, for docs/results.md."""
    of_outcome = ("dataset", "protocol", "values", "difference", "decisions", "cells", "by_class", "metrics", "seconds")
    of_row = ("name", "source", "differs", "reported", "metric")
    rows = [
        {name: getattr(each.row, name) for name in of_row} | {name: getattr(each, name) for name in of_outcome}
        for each in outcomes
    ]
    return write_whole(path, json.dumps({"plan": plan.as_record(), "rows": rows}, indent=1) + "\n")
