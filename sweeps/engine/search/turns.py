"""Stages in turn within one run of Tune.

A worker takes seconds to load torch and Lightning. Tune keeps one from each stage to the next: with one trial at a
time, the same worker trains all stages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from sweeps.engine.search.searcher import PackSearcher, RecordSearcher

__all__ = ["InTurn", "Turn"]


@dataclasses.dataclass(frozen=True)
class Turn:
    """A stage's search. work: how much there is to train, and how much of it was done before: the display's unit."""

    search: PackSearcher
    work: tuple[float, float]


class InTurn(RecordSearcher):
    """Hands out the trials of one turn after another; a turn begins when nothing of the one before is under way.

    advance: ends a turn and gives the next one, or None.
    """

    def __init__(self, first: Turn, advance: Callable[[Turn], Turn | None]) -> None:
        super().__init__()
        self.turn, self.advance = first, advance

    def suggest(self, trial_id: str) -> Any:
        while (config := self.turn.search.suggest(trial_id)) == Searcher.FINISHED:
            following = self.advance(self.turn)
            if following is None:
                return Searcher.FINISHED
            self.turn = following
        return config

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.turn.search.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.turn.search.on_trial_complete(trial_id, result, error)
