"""PackSearcher: a Tune searcher that hands out packs as trials."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from typing import Any

from ray.tune.search import Searcher

from adcore.metric_names import class_metric
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.search.trial import Part, epochs_of, trial_config

__all__ = ["EndedTraining", "Job", "PackSearcher"]

#: A training that has ended: its configuration's number, its seed and its state.
EndedTraining = tuple[int, int, str]


@dataclasses.dataclass(frozen=True)
class Job:
    """A pack to train. until: the epoch that it is trained to. owner: identifies it for the searcher."""

    parts: tuple[Part, ...]
    until: int
    owner: Any = None

    def by_configuration(self) -> list[Job]:
        """The same, each configuration by itself."""
        keys = dict.fromkeys((part.configuration, part.config.train_seed) for part in self.parts)
        return [
            dataclasses.replace(
                self,
                parts=tuple(part for part in self.parts if (part.configuration, part.config.train_seed) == key),
            )
            for key in keys
        ]


class PackSearcher(Searcher):
    """Tells a stage which pack is next, how far the stage is, and what has ended.

    name: of the stage. ranked_by: the metric that counts. keeps_checkpoints: whether the checkpoints of what has
    ended are still needed. A pack that fails is retried, and then each of its configurations alone, so that one cannot
    fail the others.
    All its state is in the sweep's record: Tune saves and restores nothing.
    """

    name: str
    keeps_checkpoints: bool
    ranked_by = "auroc"

    def __init__(self, records: Sequence[Attributes]) -> None:
        super().__init__()
        self.records, self.slots = records, 1
        self.jobs: dict[str, Job] = {}  # under way, by Ray trial id
        self.retries: deque[Job] = deque()  # what has failed and is to be retried
        self.retried_jobs: set[Job] = set()
        self.lost_trial = ""  # the trial that failed last, if that was because its node was lost
        self.curves: dict[str, list[dict[int, list[float]]]] = {}  # `ranked_by` by part, class and epoch, by trial id
        self.is_exhausted = False  # nothing is left to train
        self._new_epochs: dict[str, list[tuple[Part, dict[str, float]]]] = {}  # what the last report added

    def next_job(self) -> Job | None:
        """The next pack; None if there is none now."""
        raise NotImplementedError

    @property
    def ready_count(self) -> int:
        """How many packs beyond those under way could begin, were there slots for them."""
        raise NotImplementedError

    def resize(self, slots: int) -> None:
        """From now on, so many packs can train at a time."""
        self.slots = slots

    def finish(self, job: Job, curves: list[dict[int, list[float]]] | None, result: dict[str, Any]) -> None:
        """Record the results of a pack. curves: by part and class, the values of each epoch; None if it has failed.

        result: the last report of its trial.
        """
        raise NotImplementedError

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts in words, and the best mean so far."""
        raise NotImplementedError

    def newly_ended(self) -> list[EndedTraining]:
        """The trainings that have ended since the last call; the first call returns all."""
        raise NotImplementedError

    def suggest(self, trial_id: str) -> Any:
        if any(record.storage_error for record in self.records):
            return Searcher.FINISHED
        job = self.retries.popleft() if self.retries else self.next_job()
        if job is None:
            self.is_exhausted = not self.jobs
            return None if self.jobs else Searcher.FINISHED  # running packs decide, or may have to be retried
        self.jobs[trial_id] = job
        self.curves[trial_id] = [{} for _ in job.parts]
        return trial_config(job.parts, job.until)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the values of each epoch. Epochs repeated after a restart from a checkpoint change nothing."""
        self._new_epochs[trial_id] = []
        for part, curves, metrics in zip(
            self.jobs[trial_id].parts, self.curves[trial_id], epochs_of(result), strict=True
        ):
            epochs_known = max(map(len, curves.values()), default=0)
            if metrics is None or metrics["epoch"] != part.start + epochs_known + 1:
                continue
            for index in part.config.classes:
                curves.setdefault(index, []).append(metrics[class_metric(f"val_{self.ranked_by}", index)])
            self._new_epochs[trial_id].append((part, metrics))

    def new_epochs(self, trial_id: str) -> list[tuple[Part, dict[str, float]]]:
        """The metrics of each part that the trial has just reported for the first time."""
        return self._new_epochs.get(trial_id, [])

    def class_epochs(self, trial_id: str) -> int:
        """The class-epochs that a running trial has reported, all parts together."""
        return sum(len(curve) for curves in self.curves[trial_id] for curve in curves.values())

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        job, curves = self.jobs.pop(trial_id), self.curves.pop(trial_id)
        self._new_epochs.pop(trial_id, None)
        if not error:
            self.finish(job, curves, result or {})
        elif self.lost_trial == trial_id:
            self.retries.append(job)
        elif job not in self.retried_jobs:
            self.retried_jobs.add(job)
            self.retries.append(job)
        elif len(jobs := job.by_configuration()) > 1:
            self.retried_jobs.update(jobs)
            self.retries.extend(jobs)
        else:
            self.finish(job, None, result or {})

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the record is all there is to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the record is read when it is opened."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles the searcher for Tuner.restore, which is not used
