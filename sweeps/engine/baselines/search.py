"""BaselineSearch: hands out every training that the record does not hold yet."""

from __future__ import annotations

import json
from typing import Any

from ray.tune.search import Searcher

from sweeps.engine.baselines.plan import BaselinePlan, Job
from sweeps.engine.facts import Facts
from sweeps.engine.searcher import RecordSearcher
from sweeps.engine.trial import trial_config

__all__ = ["BaselineSearch"]


class BaselineSearch(RecordSearcher):
    """A trial is a job; what it reports at its end, under "result" as JSON, is written to the record.

    A trial without a result has diverged or failed; one that failed is tried once more.
    """

    name = "baselines"
    keeps_checkpoints = True  # a model is what a reader of the table asks for next

    def __init__(self, record: Facts, plan: BaselinePlan) -> None:
        super().__init__()
        self.record, self.plan = record, plan
        known = record.all()
        self.jobs = [job for job in plan.jobs if job.key not in known]
        self.trials: dict[str, Job] = {}
        self.ended: dict[Job, str] = {job: "complete" for job in plan.jobs if job not in self.jobs}
        self.told: set[Job] = set()
        self.open = {(job.configuration, job.seed) for job in plan.jobs}
        self.tried: set[Job] = set()

    def suggest(self, trial_id: str) -> Any:
        if self.record.broken or not (self.jobs or self.trials):
            return Searcher.FINISHED
        if not self.jobs:  # one that is under way may have to be tried again
            return None
        job = self.trials[trial_id] = self.jobs.pop(0)
        return trial_config(self.plan.config(job), configuration=job.configuration, group=0)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        job = self.trials.pop(trial_id)
        if error and job not in self.tried:
            self.tried.add(job)
            self.jobs.insert(0, job)
            return
        found = None if error or result is None else result.get("result")
        if found:
            self.record.write(job.key, json.loads(found))
        self.ended[job] = "complete" if found else "failed" if error else "diverged"

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts; a table of different systems has no best."""
        return f"{len(self.ended)} of {len(self.plan.jobs)} trainings done, {running} running, {failed} failed", None

    def newly_done(self) -> list[Job]:
        """Jobs whose result was recorded since the last call; at first, all of them."""
        done = [job for job, state in self.ended.items() if state == "complete" and job not in self.told]
        self.told.update(done)
        return done

    def newly_closed(self) -> list[tuple[int, int, str]]:
        closed: list[tuple[int, int, str]] = []
        for key in sorted(self.open):
            states = [self.ended.get(job) for job in self.plan.jobs if (job.configuration, job.seed) == key]
            if all(states):
                worst = next((state for state in ("failed", "diverged") if state in states), "complete")
                closed.append((*key, worst))
        self.open -= {(configuration, seed) for configuration, seed, _ in closed}
        return closed
