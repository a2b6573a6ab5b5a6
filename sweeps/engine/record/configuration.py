"""Configuration: sampled fields, and their results in the search."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Configuration", "Curves"]

#: The sweep's metric by class, after each trained epoch.
Curves = Mapping[int, Sequence[float]]


@dataclasses.dataclass
class Configuration:
    """Sampled fields, and their results in the search.

    curves: the sweep's metric by class and epoch. rung: the highest one reached, from 0 on; -1 before. value: the mean
    over that rung's classes. state: running, or how it ended: complete, stopped, diverged, failed. mean: the value at
    the top.
    """

    number: int
    params: dict[str, Any]
    curves: dict[int, list[float]] = dataclasses.field(default_factory=dict)
    rung: int = -1
    value: float | None = None
    state: str = "running"

    @property
    def mean(self) -> float | None:
        """The metric's mean over all classes after the last epoch; None unless complete."""
        return self.value if self.state == "complete" else None
