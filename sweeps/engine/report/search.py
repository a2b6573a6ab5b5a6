"""What the report says about the search: its history, how far configurations came, and what that cost."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

from sweeps.engine.planning.labels import count_of
from sweeps.engine.planning.predicted import predicted_means
from sweeps.engine.record.progress import STAGE
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.report.table import Table

__all__ = ["Point", "cost_table", "history", "ladder_table", "saving"]


@dataclasses.dataclass(frozen=True)
class Point:
    """A configuration with its mean over all classes: measured if it is complete, else predicted.

    goodness: the mean as a number that is higher for a better configuration.
    """

    number: int
    params: dict[str, Any]
    value: float
    is_complete: bool
    goodness: float


def history(record: SweepRecord) -> list[Point]:
    """Every configuration of the search that has a value, in the order in which they were proposed.

    A stopped one has the value that the sampler was told: predicted from the classes and epochs that it was trained on.
    One that diverged or failed has none.
    """
    configurations = [
        configuration
        for configuration in record.configurations.values()
        if configuration.state in ("complete", "stopped")
    ]
    order = sorted(record.plan.classes)
    curves = [
        {order.index(index): curve for index, curve in configuration.curves.items()} for configuration in configurations
    ]
    predicted = predicted_means(curves, len(order), record.plan.search_config.epochs)
    values = [
        configuration.mean if configuration.mean is not None else prediction
        for configuration, prediction in zip(configurations, predicted, strict=True)
    ]
    return [
        Point(configuration.number, configuration.params, value, configuration.mean is not None, record.goodness(value))
        for configuration, value in zip(configurations, values, strict=True)
        if value is not None
    ]


def ladder_table(record: SweepRecord) -> Table:
    """How many configurations reached each rung, and what ended there or on the way."""
    configurations = list(record.configurations.values())
    rows: list[Sequence[str]] = []
    for place, rung in enumerate(record.ladder.rungs):
        reached = sum(configuration.rung >= place for configuration in configurations)
        stopped = sum(
            configuration.rung == place and configuration.state == "stopped" for configuration in configurations
        )
        below = [configuration.state for configuration in configurations if configuration.rung == place - 1]
        lost = below.count("diverged"), below.count("failed")
        rows.append([str(cell) for cell in (place + 1, rung.classes, rung.epochs, reached, stopped, *lost)])
    columns = ("rung", "classes", "epochs", "reached", "stopped here", "diverged on the way", "failed on the way")
    return Table(f"the ladder of {count_of(len(configurations), 'configuration')}", columns, rows)


def saving(record: SweepRecord) -> str:
    """What stopping saved, in a sentence."""
    spent = _class_epochs(record)
    whole = len(record.configurations) * len(record.plan.classes) * record.plan.search_config.epochs
    return (
        f"The search trained {spent} of the {whole} class-epochs that training every configuration to its end on all "
        f"classes takes: stopping saved {1 - spent / whole:.0%}."
    )


def cost_table(record: SweepRecord, records_of_classes: Sequence[SweepRecord], seconds: float) -> Table:
    """Trainings, class-epochs and time of each stage. seconds: of the command that finished the sweep."""
    rows: list[Sequence[str]] = []
    if not record.plan.space.is_grid:
        rows.append(_search_row("search", [record]))
    if records_of_classes:
        rows.append(_search_row("search by class", records_of_classes))
    trainings = sum(len(values) for name, values in record.all().items() if name.startswith("confirm_"))
    epochs = trainings * record.plan.base.epochs
    rows.append(["confirm, fresh seeds", str(trainings), str(epochs), _confirm_time(record)])
    rows.append(["last command, in all", "", "", duration(seconds)])
    return Table("cost", ("", "trainings", "class-epochs", "time"), rows)


def duration(seconds: float) -> str:
    """A time in whole seconds, as h:mm:ss."""
    return str(datetime.timedelta(seconds=round(seconds)))


def _confirm_time(record: SweepRecord) -> str:
    """From the confirmation's last start to the next opening of the test part; empty if the record does not tell."""
    stage, openings = record.read(STAGE) or {}, record.read("test_openings") or []
    if stage.get("name") != "confirm":
        return ""
    begun, *opened = (datetime.datetime.fromisoformat(time) for time in (stage["started"], *openings))
    after = [(time - begun).total_seconds() for time in opened if time >= begun]
    return duration(after[0]) if after else ""


def _search_row(name: str, records: Sequence[SweepRecord]) -> list[str]:
    trainings = sum(len(configuration.curves) for record in records for configuration in record.configurations.values())
    times = [
        time
        for record in records
        for trial in record.study.get_trials(deepcopy=False)
        for time in (trial.datetime_start, trial.datetime_complete)
        if time is not None
    ]
    elapsed = duration((max(times) - min(times)).total_seconds()) if times else ""
    return [name, str(trainings), str(sum(map(_class_epochs, records))), elapsed]


def _class_epochs(record: SweepRecord) -> int:
    return sum(
        len(values) for configuration in record.configurations.values() for values in configuration.curves.values()
    )
