"""95 % interval of a mean."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

__all__ = ["Estimate", "mean"]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def mean(values: Sequence[float]) -> Estimate:
    """The mean of independent values with its t interval. One value alone has no interval: NaN."""
    centre = float(np.mean(values))
    if len(values) < 2:
        return Estimate(centre, math.nan, math.nan)
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Estimate(centre, centre - half, centre + half)
