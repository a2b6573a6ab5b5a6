"""TimedSearch: a ladder search whose budget follows the clock."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from sweeps.engine.planning.rungs import affordable_count, rung_costs
from sweeps.engine.planning.time_budget import Pace, TimedTrial, confirm_seconds, reserve, trained_images
from sweeps.engine.record.clock import Clock
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.search.searcher import Job

__all__ = ["TimedSearch"]


@dataclasses.dataclass
class RunningTrial:
    """A trial under way: when it was handed out and when it first reported, in seconds of the clock, and what by then.

    experiments: in its pack. speed: class-epochs in a second of training alone, as it has measured in its last epoch.
    """

    started_at: float
    experiments: int
    first_report_at: float | None = None
    class_epochs: int = 0
    speed: float = 0.0


class TimedSearch(LadderSearch):
    """The search of one record within the clock's limit, less the time that confirm and final take.

    Before each pack, the ladder's budget is set to the class-epochs that the slots can still train at the pace of the
    last trials: it decides how many new configurations can begin and which are taken to the top. too_short_reason:
    why even one configuration cannot be trained and confirmed in time, empty if it can; needed: seconds that it takes.
    """

    def __init__(self, name: str, record: SweepRecord, clock: Clock, *, limit: int, slots: int) -> None:
        super().__init__(name, [record], limit=limit, slots=slots)
        self.record, self.clock, self.usual_limit, self.usual_max_new = record, clock, limit, self.max_new
        self.trials: dict[str, RunningTrial] = {}
        self.too_short_reason, self.needed = "", 0.0

    def resize(self, slots: int) -> None:
        super().resize(slots)
        self.usual_max_new = self.max_new

    def suggest(self, trial_id: str) -> Any:
        suggestion = super().suggest(trial_id)
        if trial_id in self.jobs:
            experiments = sum(len(part.config.classes) for part in self.jobs[trial_id].parts)
            self.trials[trial_id] = RunningTrial(self.clock.now(), experiments)
        return suggestion

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        super().on_trial_result(trial_id, result)
        trial = self.trials[trial_id]
        if not (done := self.class_epochs(trial_id)):
            return
        trial.speed = result["images_per_second"] / trained_images(self.jobs[trial_id].parts[0].config)
        if trial.first_report_at is None:
            trial.first_report_at, trial.class_epochs = self.clock.now(), done

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial, done = self.trials.pop(trial_id), self.class_epochs(trial_id)
        if not error and trial.first_report_at is not None:
            self._measure(trial, done)
        super().on_trial_complete(trial_id, result, error)

    def next_job(self) -> Job | None:
        pace = self.clock.pace
        if pace is None:
            self.max_new = 1  # the first packs are small: they measure the pace
        else:
            self._set_budget(pace)
        return None if self.too_short_reason else super().next_job()

    def proposals_left(self, record: SweepRecord) -> int:
        left = super().proposals_left(record)
        if self.clock.pace is None:
            return left
        ladder = record.ladder
        affordable = affordable_count(ladder.rungs, ladder.reduction, ladder.budget) - ladder.begun_count
        return min(left, max(int(self._begins_one_more), affordable))

    @property
    def _begins_one_more(self) -> bool:
        """Whether all so far have diverged or failed, and there is time for one more, without the budget's margins."""
        ladder = self.record.ladder
        has_any = self._under_way(self.record) or ladder.promotion_candidates() or ladder.ranking(len(ladder.rungs) - 1)
        return ladder.best > 0 and not has_any

    def _measure(self, trial: RunningTrial, done: int) -> None:
        assert trial.first_report_at is not None
        now, later = self.clock.now(), done - trial.class_epochs
        speed = later / (now - trial.first_report_at) if later and now > trial.first_report_at else trial.speed
        speed = min(speed, trial.speed)  # one that resumes reports at once what it had trained before
        if speed > 0:
            before = max(0.0, trial.first_report_at - trial.started_at - trial.class_epochs / speed)
            self.clock.note_trial(TimedTrial(before, done, done / speed, trial.experiments))

    def _set_budget(self, pace: Pace) -> None:
        """Set the ladder's budget to what can be trained in the time that is left."""
        plan, ladder, slots = self.record.plan, self.record.ladder, self.slots
        left = self.clock.seconds_left - reserve(plan, pace, slots, self.clock.limit)
        last = plan.search_config.epochs / pace.speed  # a training that begins in the last moment
        seconds = max(0.0, left - last)
        ahead = seconds * pace.speed * slots - self._under_way_left()
        ladder.budget = min(plan.budget, ladder.spent + max(0.0, ahead))
        experiments = seconds * pace.speed / plan.search_config.epochs  # experiments of one slot
        self.max_new, self.limit = self.usual_max_new, max(1, min(self.usual_limit, int(experiments)))
        ladder.best = min(plan.min_complete, self._completable(pace))
        if self._begins_one_more:
            ladder.budget = max(ladder.budget, ladder.spent + rung_costs(ladder.rungs)[0])

    def _completable(self, pace: Pace) -> int:
        """How many configurations reach the top whatever the budget: one, if the time without margins suffices."""
        plan, ladder = self.record.plan, self.record.ladder
        complete = len(ladder.ranking(len(ladder.rungs) - 1))
        if complete or self._under_way(self.record):
            return complete
        following = ladder.promotion_candidates()
        rung = following[-1][1] if following else 0
        share = math.ceil(len(plan.classes) / self.slots)  # experiments of a slot
        rate = pace.speed_of(share) * min(self.slots, len(plan.classes))
        needed = sum(rung_costs(ladder.rungs)[rung:]) / rate
        needed += confirm_seconds(plan, pace, 1, self.slots, margin=1)
        if needed <= self.clock.seconds_left:
            return 1
        self.needed = needed
        self.too_short_reason = (
            f"the time limit is too short: to train and confirm one configuration takes about {needed:.0f} s more, and "
            f"{max(0.0, self.clock.seconds_left):.0f} s are left"
        )
        return 0

    def _under_way_left(self) -> float:
        """Class-epochs that the packs under way have still to train."""
        done = sum(self.class_epochs(trial) for trial in self.jobs)
        return sum(_class_epochs(job) for job in (*self.jobs.values(), *self.retries, *self.split_jobs)) - done


def _class_epochs(job: Job) -> int:
    return sum(len(part.config.classes) * (job.until - part.start) for part in job.parts)
