"""BaselineSearch: hands out every training that the record does not hold yet."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from sweeps.engine.baselines.plan import BaselinePlan, Training
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.search.searcher import EndedTraining, Job, PackSearcher
from sweeps.engine.search.trial import Part

__all__ = ["BaselineSearch"]


class BaselineSearch(PackSearcher):
    """A pack is one training; its last report, with JSON under "result", is written to the record.

    A training without a result has diverged or failed.
    """

    name = "baselines"
    keeps_checkpoints = True  # a reader of the table may want the models

    def __init__(self, record: Attributes, plan: BaselinePlan) -> None:
        super().__init__([record])
        self.record, self.plan = record, plan
        attributes = record.all()
        self.remaining = deque(training for training in plan.trainings if training.key not in attributes)
        self.states: dict[Training, str] = {
            training: "complete" for training in plan.trainings if training.key in attributes
        }
        self.trainings_of: dict[tuple[int, int], list[Training]] = {}  # by run: configuration and seed
        for training in plan.trainings:
            self.trainings_of.setdefault(_run_of(training), []).append(training)
        self._untold_trainings = list(self.states)
        self._changed_runs = set(self.trainings_of)

    def next_job(self) -> Job | None:
        if not self.remaining:
            return None
        training = self.remaining.popleft()
        config = self.plan.config(training)
        return Job((Part(training.configuration, config),), config.epochs, training)

    @property
    def ready_count(self) -> int:
        return len(self.retries) + len(self.remaining)

    def finish(self, job: Job, curves: list[dict[int, list[float]]] | None, result: dict[str, Any]) -> None:
        training, json_text = job.owner, None if curves is None else result.get("result")
        if json_text:
            self.record.write(training.key, json.loads(json_text))
            self._untold_trainings.append(training)
        self.states[training] = "complete" if json_text else "failed" if curves is None else "diverged"
        self._changed_runs.add(_run_of(training))

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts; a table of different systems has no best."""
        return (
            f"{len(self.states)} of {len(self.plan.trainings)} trainings done, {running} running, {failed} failed",
            None,
        )

    def newly_done(self) -> list[Training]:
        """Trainings whose result was recorded since the last call; the first call returns all."""
        done, self._untold_trainings = self._untold_trainings, []
        return done

    def newly_ended(self) -> list[EndedTraining]:
        ended: list[EndedTraining] = []
        for run in sorted(self._changed_runs):
            states = [self.states.get(each) for each in self.trainings_of[run]]
            if all(states):
                worst = next((state for state in ("failed", "diverged") if state in states), "complete")
                ended.append((*run, worst))
        self._changed_runs.clear()
        return ended


def _run_of(training: Training) -> tuple[int, int]:
    """What a run of MLflow is of: configuration and seed."""
    return training.configuration, training.seed
