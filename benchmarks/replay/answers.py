"""What a sweep that is ended at some compute would answer, and how far that is from the table's best."""

from __future__ import annotations

import numpy as np

from .simulation import Report
from .table import Table

__all__ = ["answer", "regret"]


def answer(table: Table, reports: list[Report], spent: float) -> int | None:
    """Row that would be chosen if the sweep were ended when so many class-epochs are spent; None before any report.

    One rule for all policies: the configuration with the most classes at the last epoch, among equals the highest mean
    over those classes. So complete configurations, if there are any, are compared by their mean over all classes.
    Before any class is at the last epoch: the most class-epochs, then the highest mean of the classes' last values.
    A configuration with a NaN is never chosen.
    """
    last: dict[int, dict[int, int]] = {}  # epoch by class by row
    for report in reports:
        if report.spent > spent + 1e-9:
            break
        last.setdefault(report.row, {}).update(dict.fromkeys(report.classes, report.epoch))
    keys = {row: key for row, epochs in last.items() if (key := _key(table, row, epochs)) is not None}
    return max(keys, key=lambda row: keys[row], default=None)


def regret(table: Table, row: int | None) -> float:
    """AUROC that the table's best is ahead of a row at the last epoch, in the mean over classes.

    Without an answer: the mean over the rows that did not diverge, what drawing one at random would cost.
    """
    finals = table.finals
    chosen = np.nanmean(finals) if row is None or np.isnan(finals[row]) else finals[row]
    return float(finals[table.best] - chosen)


def _key(table: Table, row: int, epochs: dict[int, int]) -> tuple[int, int, float] | None:
    values = {index: float(table.curves[row][epoch - 1, index]) for index, epoch in epochs.items()}
    if not np.isfinite(list(values.values())).all():
        return None
    finished = [index for index, epoch in epochs.items() if epoch == table.epochs]
    compared = finished or list(values)
    mean = sum(values[index] for index in compared) / len(compared)
    return len(finished), 0 if finished else sum(epochs.values()), mean
