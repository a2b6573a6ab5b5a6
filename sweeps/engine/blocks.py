"""BlockSearch and BlockASHA: what is proposed and what is stopped is a configuration with all its classes, a block.

The objective is a mean over classes of unequal difficulty, so classes are not searched over, and trials of different
classes are never compared: a block is compared with other blocks on the same classes at the same epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweeps.engine.failures import storage_trouble
from sweeps.engine.record import Block, Job, SweepRecord
from sweeps.engine.searcher import RecordSearcher
from sweeps.engine.trial import trial_config

__all__ = ["METRIC", "BlockASHA", "BlockSearch", "stop_groups"]

#: What ASHA is told to compare: the mean validation AUROC over a trial's classes.
METRIC = "val_auroc_mean"
#: Other blocks that must have reached a rung, and classes that must be compared, before anything is stopped.
MINIMUM_OTHERS, MINIMUM_CLASSES = 3, 3
#: How far below the cutoff a split block may lie: its prefix says less than all its classes would.
SPLIT_SLACK = 0.003


class BlockSearch(RecordSearcher):
    """Hands out the groups of blocks as trials; blocks come from the study by ask and tell."""

    name = "search"
    keeps_checkpoints = False

    def __init__(self, record: SweepRecord) -> None:
        super().__init__()
        self.record = record
        self.jobs: dict[str, Job] = {}  # by Ray trial id
        self.tried: set[Job] = set()  # those that failed once as a trial
        self.closed: set[int] = set()  # whose end has been told by newly_closed

    def suggest(self, trial_id: str) -> Any:
        if self.record.broken:
            return Searcher.FINISHED
        if (job := self.record.next_job()) is None:
            return None if self.jobs else Searcher.FINISHED  # one that is under way may have to be tried again
        self.jobs[trial_id] = job
        changes = {**self.record.blocks[job.configuration].params, "classes": self.record.groups[job.group]}
        return trial_config(self.record.plan.searched, configuration=job.configuration, group=job.group, **changes)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        job = self.jobs.pop(trial_id)
        if error and job not in self.tried:  # Tune does not try a trial again whose reused worker died before it began
            self.tried.add(job)
            self.record.hand_out_again(job)
        else:
            self.record.finish(job)  # one that crashed has no values of the last epoch

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        counts = self.record.counts()
        counts["done"] = counts.pop("complete")
        shown = [f"{counts[state]} {state}" for state in ("done", "stopped", "running", "failed")]
        if counts["diverged"]:
            shown.append(f"{counts['diverged']} diverged")
        best = self.record.best(1)
        return f"of {self.record.plan.configs} configurations {', '.join(shown)}", best[0].mean if best else None

    def newly_closed(self) -> list[tuple[int, int, str]]:
        ended = [b for b in self.record.blocks.values() if b.state != "running" and b.number not in self.closed]
        self.closed |= {block.number for block in ended}
        return [(block.number, self.record.plan.base.train_seed, block.state) for block in ended]


class BlockASHA(AsyncHyperBandScheduler):
    """Ray's ASHA (Li et al. 2020, arXiv 1810.05934, in its stopping form) over blocks.

    Keeps Ray's milestones and percentile rule. With one class it decides as Ray's own, but for the guard of
    MINIMUM_OTHERS; a late or repeated report changes nothing; a block with a NaN is stopped as diverged.
    others: records of searches side by side, with the same rungs; blocks of different records are never compared.
    hear: called with trial and result before anything is decided on it.
    """

    def __init__(
        self,
        record: SweepRecord,
        *others: SweepRecord,
        hear: Callable[[Trial, dict[str, Any]], object] = lambda trial, result: None,
    ) -> None:
        plan = record.plan
        super().__init__(
            time_attr="epoch",
            metric=METRIC,
            mode="max",
            max_t=plan.searched.epochs,
            grace_period=plan.grace,
            reduction_factor=plan.reduction,
        )
        self.record, self.others, self.hear = record, others, hear
        self.milestones = {milestone for milestone, _ in self._brackets[0]._rungs}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        self.hear(trial, result)
        job = Job(trial.config["configuration"], trial.config["group"])
        classes = self._record_of(job).groups[job.group]
        values = [float(result[f"val_auroc_{index}"]) for index in classes]
        return TrialScheduler.CONTINUE if self.goes_on(job, int(result["epoch"]), values) else TrialScheduler.STOP

    def goes_on(self, job: Job, epoch: int, values: list[float]) -> bool:
        """Take in a group's AUROCs after an epoch; False if its block has ended."""
        record = self._record_of(job)
        block = record.blocks[job.configuration]
        if block.state != "running":
            return False
        if not all(math.isfinite(value) for value in values):
            record.close(block, "diverged")
            return False
        last = epoch >= self._max_t
        if (not last and epoch not in self.milestones) or job.group in block.values.get(epoch, {}):
            return True
        decided = 0 if last else stop_groups(record, self._brackets[0].cutoff, block, job.group, epoch, values)
        record.write_rung(block, epoch, job.group, values, stop_groups=decided)
        if decided:
            record.close(block, "stopped")
        return not decided

    def _record_of(self, job: Job) -> SweepRecord:
        return next(record for record in (self.record, *self.others) if job.configuration in record.blocks)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A full disk is no fault of the configuration: its block stays open, and the sweep ends."""
        job = Job(trial.config["configuration"], trial.config["group"])
        if error := storage_trouble(trial):
            self._record_of(job).broken = error
        super().on_trial_error(tune_controller, trial)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles the scheduler for Tuner.restore, which is not used


def stop_groups(
    record: SweepRecord,
    cutoff: Callable[[dict[int, float]], Any],
    block: Block,
    group: int,
    epoch: int,
    values: list[float],
) -> int:
    """On how many groups the block is to be stopped at this rung, 0 to go on.

    The block's longest gapless prefix of groups is compared with the same groups of the other blocks; one that was
    stopped here on a shorter prefix counts as minus infinity. cutoff: Ray's percentile of recorded values.
    """
    seen = {**block.values.get(epoch, {}), group: values}
    prefix = next(count for count in range(len(seen) + 1) if count not in seen)
    compared = [value for index in range(prefix) for value in seen[index]]
    others = _others(record, block, epoch, prefix)
    total = sum(len(classes) for classes in record.groups)
    if group >= prefix or len(others) < MINIMUM_OTHERS or len(compared) < min(MINIMUM_CLASSES, total):
        return 0
    slack = SPLIT_SLACK if len(record.groups) > 1 else 0.0
    limit = cutoff(dict(enumerate(others)))
    return prefix if limit is not None and math.fsum(compared) / len(compared) < limit - slack else 0


def _others(record: SweepRecord, block: Block, epoch: int, prefix: int) -> list[float]:
    means: list[float] = []
    for other in record.blocks.values():
        if other is block:
            continue
        if other.prefix(epoch) >= prefix > 0:
            means.append(other.mean_over(epoch, prefix))
        elif other.stopped_at and other.stopped_at[0] == epoch:
            means.append(-1e9)  # stands for minus infinity, which the percentile's interpolation would turn into NaN
    return means
