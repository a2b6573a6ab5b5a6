"""ConfirmSearch: re-trains the best configurations, and those they are compared with, with fresh seeds."""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from adcore.config import TrainConfig
from adcore.metric_names import goodness
from adcore.train.members import SHARED
from sweeps.engine.record.checkpoint_files import delete_checkpoint, differences_to_record
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.searcher import EndedTraining, Job, PackSearcher
from sweeps.engine.search.trial import Part

__all__ = ["ConfirmSearch"]


@dataclasses.dataclass(frozen=True)
class SeedRun:
    """A configuration's training on all classes with a fresh seed."""

    record: SweepRecord
    configuration: Configuration
    seed: int

    @property
    def key(self) -> tuple[int, int]:
        """Its configuration and seed, which identify it."""
        return self.configuration.number, self.seed

    @property
    def config(self) -> TrainConfig:
        """The TrainConfig that is trained."""
        return dataclasses.replace(
            self.record.plan.base, **self.configuration.params,
            classes=tuple(sorted(self.record.plan.classes)), train_seed=self.seed,
        )  # fmt: skip


class ConfirmSearch(PackSearcher):
    """Hands out every candidate x seed x class that the records do not hold yet, in packs of equal size.

    chosen: each record with its candidates. limit: experiments in a pack at most; slots: packs at a time.
    has_other_models: whether a model on disk was not the one on record; it was deleted, and is to be trained again.
    """

    keeps_checkpoints = True  # the winner's score the test part

    def __init__(
        self,
        name: str,
        chosen: Sequence[tuple[SweepRecord, Sequence[Configuration]]],
        home: SweepHome,
        *,
        limit: int,
        slots: int,
    ) -> None:
        super().__init__([record for record, _ in chosen])
        self.name, self.ranked_by, self.limit, self.slots = name, chosen[0][0].plan.metric, limit, slots
        candidates = [(record, configuration) for record, configurations in chosen for configuration in configurations]
        runs = [
            SeedRun(record, configuration, seed)
            for record, configuration in candidates
            for seed in record.plan.confirm_seeds
        ]
        self.runs = {run.key: run for run in runs}
        members = [(run, index) for run in runs for index in run.config.classes]
        self.values_by_run = {run.key: run.record.confirmation_values(*run.key) for run in runs}
        missing = {run.key: _missing_classes(run, self.values_by_run[run.key], home) for run in runs}
        self.has_other_models = any(missing[run.key] & self.values_by_run[run.key].keys() for run in runs)
        # packs are cut from all runs: with the same number of slots, a resumed sweep has the same packs
        self.remaining_jobs = [
            job for pack in _cut_packs(members, limit, slots) if (job := _remaining_job(pack, missing))
        ]
        self.open_runs = set(self.runs)
        self.failed_runs: set[tuple[int, int]] = set()

    @property
    def members(self) -> int:
        """Experiments that are still to be trained."""
        return sum(len(part.config.classes) for job in self.remaining_jobs for part in job.parts)

    @property
    def unconfirmed(self) -> set[int]:
        """The configurations of which something is still to be trained, by number."""
        return {part.configuration for job in self.remaining_jobs for part in job.parts}

    def next_job(self) -> Job | None:
        return self.remaining_jobs.pop(0) if self.remaining_jobs else None

    @property
    def ready_count(self) -> int:
        return len(self.retries) + len(self.remaining_jobs)

    def resize(self, slots: int) -> None:
        """Cut what is left into packs that fill the slots."""
        super().resize(slots)
        parts = [part for job in self.remaining_jobs for part in job.parts]
        remaining = [(self.runs[part.configuration, part.config.train_seed], part.config.classes) for part in parts]
        members = [(run, index) for run, classes in remaining for index in classes]
        missing = {run.key: set(run.config.classes) for run, _ in remaining}
        self.remaining_jobs = [
            job for pack in _cut_packs(members, self.limit, slots) if (job := _remaining_job(pack, missing))
        ]

    def finish(self, job: Job, curves: list[dict[int, list[float]]] | None, result: dict[str, Any]) -> None:
        for part, part_curves in zip(job.parts, curves or [{} for _ in job.parts], strict=True):
            key = part.configuration, part.config.train_seed
            if part_curves:
                self.values_by_run[key] |= {index: epochs[-1] for index, epochs in part_curves.items()}
                self.runs[key].record.write_confirmed(*key, self.values_by_run[key])
            else:
                self.failed_runs.add(key)

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        means_by_configuration: dict[int, list[float]] = {}
        for (number, _), values in ((key, self.values_by_run[key]) for key in self.runs if self._is_complete(key)):
            means_by_configuration.setdefault(number, []).append(statistics.fmean(values.values()))
        done = sum(map(len, means_by_configuration.values()))
        all_means = map(statistics.fmean, means_by_configuration.values())
        means = [mean for mean in all_means if math.isfinite(mean)]
        best = max(means, key=partial(goodness, self.ranked_by), default=None) if len(self.records) == 1 else None
        return f"{done} of {len(self.runs)} runs done, {running} running, {failed} failed", best

    def newly_ended(self) -> list[EndedTraining]:
        jobs = (*self.remaining_jobs, *self.retries, *self.jobs.values())
        to_come = {(part.configuration, part.config.train_seed) for job in jobs for part in job.parts}
        ended_runs = sorted(
            key for key in self.open_runs - to_come if key in self.failed_runs or self._is_complete(key)
        )
        self.open_runs -= set(ended_runs)
        return [(*key, self._state(key)) for key in ended_runs]

    def _is_complete(self, key: tuple[int, int]) -> bool:
        return self.values_by_run[key].keys() >= set(self.runs[key].config.classes)

    def _state(self, key: tuple[int, int]) -> str:
        if key in self.failed_runs or not self._is_complete(key):
            return "failed"
        return "complete" if all(map(math.isfinite, self.values_by_run[key].values())) else "diverged"


def _missing_classes(run: SeedRun, recorded_values: Mapping[int, float], home: SweepHome) -> set[int]:
    """Classes without a value on record or, until the test part has been scored, without the model on disk.

    A model that is not the recorded one is reported and deleted: it is trained again.
    """
    missing = set(run.config.classes) - recorded_values.keys()
    if run.record.read("test") is not None:
        return missing
    paths = {
        home.checkpoint(run.configuration.number, index, run.seed): index for index in set(recorded_values) - missing
    }
    expected = {path: recorded_values[index] for path, index in paths.items()}
    for path, reason in differences_to_record(home, expected, run.record.plan.metric).items():
        print(f"{home.place(path)}: {reason}; the model is trained again", file=sys.stderr)
        delete_checkpoint(home, path)
        missing.add(paths[path])
    return missing


def _cut_packs(members: Sequence[tuple[SeedRun, int]], limit: int, slots: int) -> list[list[tuple[SeedRun, int]]]:
    """Experiments of runs in packs that are as large as possible and fill the slots; one kind each."""
    by_kind: dict[tuple[Any, ...], list[tuple[SeedRun, int]]] = {}
    for run, index in members:
        kind = tuple(getattr(run.config, name) for name in SHARED)
        by_kind.setdefault(kind, []).append((run, index))
    packs: list[list[tuple[SeedRun, int]]] = []
    for members_of_kind in by_kind.values():
        rounds = math.ceil(len(members_of_kind) / (limit * slots))
        size = math.ceil(len(members_of_kind) / (rounds * slots))
        packs += [members_of_kind[start : start + size] for start in range(0, len(members_of_kind), size)]
    return packs


def _remaining_job(pack: Sequence[tuple[SeedRun, int]], missing: Mapping[tuple[int, int], set[int]]) -> Job | None:
    """The rest of a pack that is still to be trained; None if there is none."""
    missing_by_run: dict[tuple[int, int], list[int]] = {}
    configs: dict[tuple[int, int], TrainConfig] = {}
    for run, index in pack:
        if index in missing[run.key]:
            missing_by_run.setdefault(run.key, []).append(index)
            configs[run.key] = run.config
    parts = tuple(
        Part(key[0], dataclasses.replace(configs[key], classes=tuple(classes)))
        for key, classes in missing_by_run.items()
    )
    return Job(parts, parts[0].config.epochs) if parts else None
