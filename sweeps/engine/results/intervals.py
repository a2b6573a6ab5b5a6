"""95 % intervals of a mean AUROC over classes: seeds and images, each with its own variance.

Estimand: the mean over the classes of the AUROC that a configuration, trained with a fresh seed, has on fresh images of
the same population. Its estimate, a mean over n seeds on one sample of images, varies with both.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = [
    "Interval",
    "half_width",
    "interval",
    "metric_interval",
    "pooled_variance",
    "signed",
]

LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate and half the width of its 95 % interval; the half width is NaN if it cannot be estimated.

    least, most: the range of what is estimated; the interval is cut to it.
    """

    value: float
    half: float
    least: float = -math.inf
    most: float = math.inf

    @property
    def low(self) -> float:
        """Lower end."""
        return max(self.value - self.half, self.least)

    @property
    def high(self) -> float:
        """Upper end."""
        return min(self.value + self.half, self.most)

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside: a difference that is beyond noise."""
        return bool(abs(self.value) > self.half)


def pooled_variance(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Variance within groups, and its degrees of freedom: sums of squares around each group's mean, over sum(n - 1).

    groups: one sequence of ten-class means per configuration, one value per seed. NaN and 0 if no group has two.
    """
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum(float(np.var(group) * len(group)) for group in groups)
    return (squares / freedom, freedom) if freedom else (float("nan"), 0)


def half_width(seed_variance: ArrayLike, freedom: ArrayLike, image_variance: ArrayLike) -> NDArray[Any]:
    """Half the width of the 95 % interval of a mean, from its variances due to seeds and to images.

    sqrt(t^2 s^2 + z^2 v), with Student's t at the seed variance's degrees of freedom: the bounds of the two parts added
    in quadrature (after Howe, JASA 69, 1974): with few seeds, Satterthwaite's degrees of freedom cover too little.
    Without degrees of freedom only images count. Arrays broadcast.
    """
    seeds, count = np.asarray(seed_variance, float), np.asarray(freedom)
    t = stats.t.ppf((1 + LEVEL) / 2, np.maximum(count, 1))
    z = stats.norm.ppf((1 + LEVEL) / 2)
    return np.sqrt(np.where(count > 0, t**2 * seeds, 0.0) + z**2 * np.asarray(image_variance, float))


def interval(values: Sequence[float], seed_variance: float, freedom: int, image_variance: float) -> Interval:
    """Interval of the mean of `values`, one per seed, whose single values have variance seed_variance."""
    half = half_width(seed_variance / len(values), freedom, image_variance)
    return Interval(float(np.mean(values)), float(half))


def metric_interval(values: Sequence[float], seed_variance: float, freedom: int, image_variance: float) -> Interval:
    """`interval` for a metric: cut to its range, 0 to 1."""
    return dataclasses.replace(interval(values, seed_variance, freedom, image_variance), least=0.0, most=1.0)


def signed(value: float) -> str:
    """A difference with its sign; one that four decimals do not show has none."""
    shown = f"{value:+.4f}"
    return "0.0000" if float(shown) == 0 else shown
