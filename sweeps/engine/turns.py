"""Stages in turn within one run of Tune.

A worker takes seconds to load torch and Lightning. Tune keeps one from each stage to the next: with one trial at a
time, the same worker trains all stages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweeps.engine.blocks import BlockASHA
from sweeps.engine.searcher import RecordSearcher

__all__ = ["InTurn", "InTurnScheduler", "Turn"]


@dataclasses.dataclass(frozen=True)
class Turn:
    """A stage's search and what stops its trials early, if anything does.

    epochs: how much there is to train, and how much of it was done before, in epochs of configurations.
    """

    search: RecordSearcher
    scheduler: BlockASHA | None
    epochs: tuple[float, float]


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

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.turn.search.on_trial_complete(trial_id, result, error)


class InTurnScheduler(FIFOScheduler):
    """Decides as the scheduler of the turn that a trial belongs to; without one, a trial trains to its end."""

    def __init__(self, searcher: InTurn) -> None:
        super().__init__()
        self.searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        own = self.searcher.turn.scheduler
        return own.on_trial_result(tune_controller, trial, result) if own else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        if own := self.searcher.turn.scheduler:
            own.on_trial_error(tune_controller, trial)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles the scheduler for Tuner.restore, which is not used
