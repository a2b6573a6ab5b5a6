"""Tables of text, and how the report writes numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from adcore.metric_names import interval_ends
from sweeps.engine.results.intervals import signed as with_sign

__all__ = ["Bounded", "Table", "bounded", "interval_cells", "mean_cell", "number"]

#: One value with the ends of its interval.
Bounded = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text below the names of the columns; the first cell of a row is its heading."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: Any) -> str:
    """A setting, or a dash for None."""
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def interval_cells(interval: Mapping[str, float] | None, *, signed: bool = False) -> tuple[str, str]:
    """A value and its interval, from {value, low, high}; it is cut at 0 and 1. Dashes for None."""
    if interval is None or not math.isfinite(interval["value"]):
        return number(None), number(None)
    value, low, high = (interval[name] for name in ("value", "low", "high"))
    if signed:
        return with_sign(value), f"{with_sign(low)} to {with_sign(high)}"
    return f"{value:.4f}", interval_ends(low, high)


def mean_cell(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f}" if values else number(None)


def bounded(interval: Mapping[str, float]) -> Bounded:
    return interval["value"], interval["low"], interval["high"]
