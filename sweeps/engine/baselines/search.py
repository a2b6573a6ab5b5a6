"""BaselineSearch: hands out every training that the record does not hold yet."""

from __future__ import annotations

import json
from typing import Any

from sweeps.engine.baselines.plan import BaselinePlan, Training
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.search.searcher import Ended, Job, PackSearcher
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
        known = record.all()
        self.left = [each for each in plan.trainings if each.key not in known]
        self.ended: dict[Training, str] = {each: "complete" for each in plan.trainings if each not in self.left}
        self.told: set[Training] = set()
        self.open = {(each.configuration, each.seed) for each in plan.trainings}

    def next_job(self) -> Job | None:
        if not self.left:
            return None
        training = self.left.pop(0)
        config = self.plan.config(training)
        return Job((Part(training.configuration, config),), config.epochs, training)

    @property
    def ready(self) -> int:
        return len(self.again) + len(self.left)

    def finish(self, job: Job, curves: list[dict[int, list[float]]] | None, result: dict[str, Any]) -> None:
        training, found = job.owner, None if curves is None else result.get("result")
        if found:
            self.record.write(training.key, json.loads(found))
        self.ended[training] = "complete" if found else "failed" if curves is None else "diverged"

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts; a table of different systems has no best."""
        return (
            f"{len(self.ended)} of {len(self.plan.trainings)} trainings done, {running} running, {failed} failed",
            None,
        )

    def newly_done(self) -> list[Training]:
        """Trainings whose result was recorded since the last call; the first call returns all."""
        done = [each for each, state in self.ended.items() if state == "complete" and each not in self.told]
        self.told.update(done)
        return done

    def newly_closed(self) -> list[Ended]:
        closed: list[Ended] = []
        for key in sorted(self.open):
            states = [self.ended.get(each) for each in self.plan.trainings if (each.configuration, each.seed) == key]
            if all(states):
                worst = next((state for state in ("failed", "diverged") if state in states), "complete")
                closed.append((*key, worst))
        self.open -= {(configuration, seed) for configuration, seed, _ in closed}
        return closed
