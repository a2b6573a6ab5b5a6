"""SideBySide: several searches in one stage."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from ray.tune.search import Searcher

from sweeps.engine.searcher import RecordSearcher

__all__ = ["SideBySide"]


class SideBySide(RecordSearcher):
    """Hands out the trials of several searches in turn, so that together they fill the slots.

    Each search hears of its own trials alone, and decides as it would by itself.
    """

    def __init__(self, name: str, searches: Sequence[RecordSearcher]) -> None:
        super().__init__()
        self.name, self.searches, self.keeps_checkpoints = name, searches, searches[0].keeps_checkpoints
        self.turns = deque(searches)  # those that may have another trial, whose turn it is first
        self.owners: dict[str, RecordSearcher] = {}  # by Ray trial id
        self.ended = 0

    def suggest(self, trial_id: str) -> Any:
        for search in list(self.turns):
            config = search.suggest(trial_id)
            self.turns.remove(search)
            if config != Searcher.FINISHED:
                self.turns.append(search)
            if config not in (None, Searcher.FINISHED):
                self.owners[trial_id] = search
                return config
        return None if self.turns else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.owners.pop(trial_id).on_trial_complete(trial_id, result, error)
        self.ended += 1

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """The best mean is the mean of the searches' best ones, once each has one."""
        found = [search.status(running, failed)[1] for search in self.searches]
        best = [value for value in found if value is not None]
        counts = f"{self.ended} trainings ended, {running} running, {failed} failed"
        return counts, fmean(best) if len(best) == len(found) else None

    def newly_closed(self) -> list[tuple[int, int, str]]:
        return [ended for search in self.searches for ended in search.newly_closed()]
