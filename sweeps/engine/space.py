"""What a sweep searches: ranges of TrainConfig fields, and the points it tries first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["POINT", "LogUniform", "Space"]

#: Under which name the study holds a grid's points.
POINT = "point"


@dataclasses.dataclass(frozen=True)
class LogUniform:
    """Floats from low to high, uniform in their logarithm."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Space:
    """Ranges by TrainConfig field, and named points to try before the sampler proposes; the default comes first.

    A point gives every field of `ranges`; `default` and `paper` are names of points, paper may be absent. Without
    ranges the points are a grid: all of them are trained with every seed, and nothing is searched.
    """

    ranges: Mapping[str, LogUniform]
    points: Mapping[str, Mapping[str, float]]
    default: str = "default"
    paper: str | None = None

    @property
    def is_grid(self) -> bool:
        """Whether there are points alone."""
        return not self.ranges

    @property
    def names(self) -> list[str]:
        """The TrainConfig fields that a configuration sets."""
        return list(self.ranges or next(iter(self.points.values())))

    def proposed(self, point: str) -> dict[str, Any]:
        """The parameters with which Optuna's study holds a point."""
        return {POINT: point} if self.is_grid else dict(self.points[point])

    def fields(self, params: Mapping[str, Any]) -> dict[str, float]:
        """The TrainConfig fields that a trial's parameters in the study stand for."""
        return dict(self.points[params[POINT]]) if self.is_grid else dict(params)

    def distributions(self) -> dict[str, BaseDistribution]:
        """The ranges as Optuna's distributions."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        if self.is_grid:
            return {POINT: CategoricalDistribution(tuple(self.points))}
        return {name: FloatDistribution(each.low, each.high, log=True) for name, each in self.ranges.items()}
