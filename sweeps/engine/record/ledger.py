"""Ledger: how the configurations of a search stand, kept up to date as they climb and end."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

from sweeps.engine.record.configuration import Configuration

__all__ = ["STATES", "Ledger"]

#: Every state of a configuration, in the order in which they are shown.
STATES: tuple[str, ...] = ("complete", "stopped", "diverged", "running", "failed")


class Ledger:
    """What happened to configurations, in its order: no question goes through all of them.

    goodness: makes a value of the metric a number that is higher for a better configuration. climbed: each rung that
    a configuration has reached. ended: those that have ended. untold: of those, what the study has not heard of yet.
    """

    def __init__(self, goodness: Callable[[float], float]) -> None:
        self.goodness = goodness
        self.climbed: list[tuple[Configuration, int]] = []
        self.ended: list[Configuration] = []
        self.untold: list[Configuration] = []
        self._counts = Counter(dict.fromkeys(STATES, 0))
        self._complete: list[tuple[float, int, Configuration]] = []  # by (-goodness of the mean, number)
        self._heard: dict[int, None] = {}

    def begin(self, own: Configuration) -> None:
        """A configuration is new."""
        self._counts[own.state] += 1

    def hear(self, own: Configuration) -> None:
        """A pack with a configuration has ended."""
        self._heard.pop(own.number, None)
        self._heard[own.number] = None

    def climb(self, own: Configuration, rung: int, value: float) -> None:
        """A configuration has reached a rung. value: the metric's mean there."""
        self.climbed += [(own, each) for each in range(own.rung + 1, rung + 1)]
        own.rung, own.value = rung, value

    def end(self, own: Configuration, state: str) -> None:
        """A configuration has ended; if complete, it has reached the top."""
        self._counts[own.state] -= 1
        self._counts[state] += 1
        own.state = state
        self.ended.append(own)
        self.untold.append(own)
        if own.mean is not None:
            bisect.insort(self._complete, (-self.goodness(own.mean), own.number, own))

    def counts(self) -> dict[str, int]:
        """Configurations by state."""
        return dict(self._counts)

    def best(self, count: int) -> list[Configuration]:
        """The complete configurations with the best mean, best first."""
        return [own for _, _, own in self._complete[:count]]

    def last_heard(self, count: int) -> Sequence[int]:
        """The numbers of so many configurations whose packs have ended last."""
        return list(islice(reversed(self._heard), count))
