"""Ledger: the states of a search's configurations, kept up to date as they reach rungs and end."""

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
    """What happened to configurations, in the order in which it did: no method loops over all of them.

    goodness: makes a value of the metric a number that is higher for a better configuration. climbs: each rung that
    a configuration has reached. endings: those that have ended. unrecorded: of those, what is not in the study yet.
    """

    def __init__(self, goodness: Callable[[float], float]) -> None:
        self.goodness = goodness
        self.climbs: list[tuple[Configuration, int]] = []
        self.endings: list[Configuration] = []
        self.unrecorded: list[Configuration] = []
        self._counts = Counter(dict.fromkeys(STATES, 0))
        self._complete: list[tuple[float, int, Configuration]] = []  # by (-goodness of the mean, number)
        self._by_last_pack: dict[int, None] = {}

    def begin(self, configuration: Configuration) -> None:
        """A configuration is new."""
        self._counts[configuration.state] += 1

    def note_pack(self, configuration: Configuration) -> None:
        """A pack with a configuration has ended."""
        self._by_last_pack.pop(configuration.number, None)
        self._by_last_pack[configuration.number] = None

    def climb(self, configuration: Configuration, rung: int, value: float) -> None:
        """A configuration has reached a rung. value: the metric's mean there."""
        self.climbs += [(configuration, reached) for reached in range(configuration.rung + 1, rung + 1)]
        configuration.rung, configuration.value = rung, value

    def end(self, configuration: Configuration, state: str) -> None:
        """A configuration has ended; if complete, it has reached the top."""
        self._counts[configuration.state] -= 1
        self._counts[state] += 1
        configuration.state = state
        self.endings.append(configuration)
        self.unrecorded.append(configuration)
        if configuration.mean is not None:
            bisect.insort(self._complete, (-self.goodness(configuration.mean), configuration.number, configuration))

    def counts(self) -> dict[str, int]:
        """Configurations by state."""
        return dict(self._counts)

    def best(self, count: int) -> list[Configuration]:
        """The complete configurations with the best mean, best first."""
        return [configuration for _, _, configuration in self._complete[:count]]

    def latest(self, count: int) -> Sequence[int]:
        """The numbers of so many configurations whose packs have ended last."""
        return list(islice(reversed(self._by_last_pack), count))
