"""Rungs: what training each step of the ladder asks for, what it costs, and how many configurations a budget is for."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence
from functools import partial

__all__ = [
    "REDUCTION",
    "RUNG_SHARES",
    "SPARE",
    "Rung",
    "affordable_count",
    "budget_for",
    "members_on",
    "rung_costs",
    "rungs_of",
]

#: The rungs, as shares of all classes (at least one) and of all epochs; and of how many configurations one is promoted:
#: benchmarks/search.py compares others.
RUNG_SHARES, REDUCTION = ((0.0, 5 / 8), (0.2, 1.0), (0.5, 1.0), (1.0, 1.0)), 4
#: Budget for promotions, as a multiple of their average cost; the surplus is for late promotions.
SPARE = 1.6


@dataclasses.dataclass(frozen=True)
class Rung:
    """The training after which configurations are compared: the first `classes` of the order, each for `epochs`."""

    classes: int
    epochs: int


def rungs_of(classes: int, epochs: int, shares: Sequence[tuple[float, float]] = RUNG_SHARES) -> tuple[Rung, ...]:
    """The rungs for so many classes and epochs, from the lowest up; the last has all of both."""
    rungs = [Rung(max(1, round(part * classes)), max(1, round(share * epochs))) for part, share in shares]
    return tuple(dict.fromkeys(rungs))


def rung_costs(rungs: Sequence[Rung]) -> list[int]:
    """Class-epochs that each rung adds to the one below."""
    below = [0, *(rung.classes * rung.epochs for rung in rungs)]
    return [rung.classes * rung.epochs - less for rung, less in zip(rungs, below, strict=False)]


def budget_for(
    rungs: Sequence[Rung], reduction: int, configurations: int, best: int = 1, spare: float = SPARE
) -> float:
    """Class-epochs for so many configurations if one of `reduction`, at least `best`, is promoted at each rung."""
    least = min(best, configurations)
    first, *others = rung_costs(rungs)
    promoted_counts = (max(least, configurations / reduction**place) for place in range(1, len(rungs)))
    return first * configurations + spare * sum(
        cost * count for cost, count in zip(others, promoted_counts, strict=True)
    )


def affordable_count(rungs: Sequence[Rung], reduction: int, budget: float, best: int = 1, spare: float = SPARE) -> int:
    """The number of configurations that a budget suffices for, at least 1."""
    most = range(int(budget / rung_costs(rungs)[0]) + 2)
    cost = partial(budget_for, rungs, reduction, best=best, spare=spare)
    return max(1, bisect.bisect_right(most, budget + 1e-9, key=cost) - 1)


def members_on(rungs: Sequence[Rung], place: int) -> int:
    """Experiments that a configuration trains to reach a rung: the classes that it adds epochs to."""
    below = rungs[place - 1] if place else Rung(0, 0)
    return rungs[place].classes if rungs[place].epochs > below.epochs else rungs[place].classes - below.classes
