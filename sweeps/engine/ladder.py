"""The ladder: which configuration is trained next, on how many classes and for how many epochs.

ASHA in its promotion form (Li et al. 2020, arXiv 1810.05934, algorithm 2). Its resource is a ladder of (classes,
epochs): what a configuration is worth shows soonest on a few telling classes that are trained far. A configuration that
goes up a rung trains only what the rung adds.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence

__all__ = ["Ladder", "Rung", "added", "cost_of_one", "rungs_of"]

#: The rungs, as parts of all classes (at least one) and of all epochs: benchmarks/search.py compares others.
PARTS = ((0.0, 5 / 8), (0.0, 1.0), (0.3, 1.0), (1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Rung:
    """What a configuration is trained on before it is compared: the first `classes` of the order, each for `epochs`."""

    classes: int
    epochs: int


def rungs_of(classes: int, epochs: int) -> tuple[Rung, ...]:
    """The rungs for so many classes and epochs, each above the one before; the last is all of both."""
    found = [Rung(max(1, round(part * classes)), max(1, round(share * epochs))) for part, share in PARTS]
    return tuple(dict.fromkeys(found))


def added(rungs: Sequence[Rung]) -> list[int]:
    """Class-epochs that each rung adds to the one below."""
    below = [0, *(rung.classes * rung.epochs for rung in rungs)]
    return [rung.classes * rung.epochs - less for rung, less in zip(rungs, below, strict=False)]


def cost_of_one(rungs: Sequence[Rung], reduction: int) -> float:
    """Class-epochs that a configuration costs on average, where one of `reduction` goes up each rung."""
    return sum(cost / reduction**place for place, cost in enumerate(added(rungs)))


class Ladder:
    """How far every configuration has come. A configuration is a number; what is compared at a rung is its value there.

    reduction: one of `reduction` goes up. budget: class-epochs that may be spent in all. best: how many configurations
    reach the top at the least, whatever the budget.
    """

    def __init__(self, rungs: Sequence[Rung], reduction: int, budget: float, best: int = 1) -> None:
        self.rungs, self.reduction, self.budget, self.best = tuple(rungs), reduction, budget, best
        self.spent = 0
        self._added = added(rungs)
        self._reached: list[list[tuple[float, int]]] = [[] for _ in rungs]  # (-value, number), best first
        self._begun: list[set[int]] = [set() for _ in rungs]  # who has begun each rung, or gone further

    def begin(self, configuration: int, rung: int = 0) -> None:
        """A configuration begins a rung: the lowest as a new one, others as the one that has reached the rung below."""
        self._begun[rung].add(configuration)
        self.spent += self._added[rung]

    def reach(self, configuration: int, rung: int, value: float) -> None:
        """A configuration has been trained as far as a rung. value: finite; one that diverged reaches nothing."""
        bisect.insort(self._reached[rung], (-value, configuration))

    def reached(self, rung: int) -> list[int]:
        """Who has reached a rung, best first."""
        return [configuration for _, configuration in self._reached[rung]]

    @property
    def takes_new(self) -> bool:
        """Whether the budget does for another configuration."""
        return self.spent + self._added[0] <= self.budget

    def promotion(self) -> tuple[int, int] | None:
        """Who goes up next, and to which rung: the best 1 of `reduction` at each rung may, the highest rung first."""
        for rung in reversed(range(len(self.rungs) - 1)):
            for _, configuration in self._reached[rung][: len(self._reached[rung]) // self.reduction]:
                if configuration not in self._begun[rung + 1] and self._affords(rung + 1):
                    return configuration, rung + 1
        return None

    def late_promotion(self) -> tuple[int, int] | None:
        """Who goes up next once there is nothing new: the one that the largest reduction would have sent up.

        So a wrong stop is mended as far as the budget goes, at each rung alike.
        """
        found: list[tuple[float, int, int]] = []
        for rung, reached in enumerate(self._reached[:-1]):
            left = ((rank, each) for rank, (_, each) in enumerate(reached, 1) if each not in self._begun[rung + 1])
            if (first := next(left, None)) and self._affords_top(rung + 1):
                found.append((len(reached) / first[0], rung + 1, first[1]))
        return (max(found)[2], max(found)[1]) if found else None

    def _affords(self, rung: int) -> bool:
        return self.spent + self._added[rung] <= self.budget or self._lacks_best

    def _affords_top(self, rung: int) -> bool:
        """Whether what begins a rung can be trained to the end: else what it costs is lost."""
        return self.spent + sum(self._added[rung:]) <= self.budget or self._lacks_best

    @property
    def _lacks_best(self) -> bool:
        return len(self._begun[-1]) < self.best
