"""What a sweep searches: ranges of TrainConfig fields, and the points it tries first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["LogUniform", "Space"]


@dataclasses.dataclass(frozen=True)
class LogUniform:
    """Floats from low to high, uniform in their logarithm."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Space:
    """Ranges by TrainConfig field, and named points to try before the sampler proposes; the default comes first.

    A point gives every field of `ranges`; `default` and `paper` are names of points, paper may be absent.
    """

    ranges: Mapping[str, LogUniform]
    points: Mapping[str, Mapping[str, float]]
    default: str = "default"
    paper: str | None = None

    def distributions(self) -> dict[str, BaseDistribution]:
        """The ranges as Optuna's distributions."""
        from optuna.distributions import FloatDistribution

        return {name: FloatDistribution(each.low, each.high, log=True) for name, each in self.ranges.items()}
