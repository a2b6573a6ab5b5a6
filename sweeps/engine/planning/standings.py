"""Standings: who has reached a rung, best first, and who of them has not begun the next one."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import chain

__all__ = ["Standings", "leaders"]

#: A place on a rung: the negative value, so that the best comes first, and the configuration's number.
Place = tuple[float, int]


class Standings:
    """The configurations that have reached a rung. Sorted at all times: no method loops over all of them."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self._unpromoted: list[Place] = []  # of those that have not begun the next rung
        self._place_of: dict[int, Place] = {}

    def __len__(self) -> int:
        return len(self.places)

    def reach(self, configuration: int, value: float, *, is_promoted: bool) -> None:
        """A configuration has reached the rung. value: finite; is_promoted: it has begun the next rung before."""
        self._place_of[configuration] = -value, configuration
        bisect.insort(self.places, self._place_of[configuration])
        if not is_promoted:
            self.undo_promotion(configuration)

    def promote(self, configuration: int) -> None:
        """A configuration begins the next rung."""
        if place := self._place_of.get(configuration):
            index = bisect.bisect_left(self._unpromoted, place)
            if self._unpromoted[index : index + 1] == [place]:
                del self._unpromoted[index]

    def undo_promotion(self, configuration: int) -> None:
        """A configuration that has reached the rung does not begin the next one, after all."""
        bisect.insort(self._unpromoted, self._place_of[configuration])

    def best_unpromoted(self) -> tuple[int, int] | None:
        """The best one that has not begun the next rung: its rank among all, from 1, and its number."""
        if not self._unpromoted:
            return None
        return bisect.bisect_left(self.places, self._unpromoted[0]) + 1, self._unpromoted[0][1]


def leaders(rungs: Sequence[Standings], count: int) -> list[int]:
    """So many configurations that have come furthest: from the highest rung down, best first. rungs: from below."""
    configurations: dict[int, None] = {}
    for _, configuration in chain.from_iterable(standings.places for standings in reversed(rungs)):
        if len(configurations) == count:
            break
        configurations.setdefault(configuration)
    return list(configurations)
