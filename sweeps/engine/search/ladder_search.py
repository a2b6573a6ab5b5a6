"""LadderSearch: hands out packs of configurations that go up the ladder."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Sequence
from itertools import chain, islice, takewhile
from typing import Any

from sweeps.engine.planning.ladder import Pack, count_ready
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.ladder_status import ladder_status
from sweeps.engine.search.searcher import EndedTraining, Job, PackSearcher
from sweeps.engine.search.trial import Part

__all__ = ["LadderSearch"]


@dataclasses.dataclass(eq=False)
class Step:
    """Configurations on their way to a rung. experiments_left: those to be trained; results: of the others."""

    record: SweepRecord
    rung: int
    experiments_left: int
    results: dict[int, dict[int, list[float]] | None]


class LadderSearch(PackSearcher):
    """The search of one record, or of several side by side: each has its own ladder, and they take turns.

    limit: experiments in a pack at most, unless one configuration has more. slots: packs at a time.
    """

    keeps_checkpoints = False

    def __init__(self, name: str, records: Sequence[SweepRecord], *, limit: int, slots: int) -> None:
        super().__init__(records)
        self.name, self.sweep_records, self.limit = name, list(records), limit
        # what trains at the same time is proposed without each other's results: so only a quarter of all at once
        self.quarter = math.ceil(records[0].plan.configs / 4)
        self.ranked_by = records[0].plan.metric
        self.resize(slots)
        self.open_records = deque(record for record in records if not record.is_searched)
        self.split_jobs: deque[Job] = deque()  # the rest of a pack that several free slots train
        self.ended_counts = dict.fromkeys(self.sweep_records, 0)  # how many trainings newly_ended has returned
        self.climb_counts = dict.fromkeys(self.sweep_records, 0)  # how many climbs new_climbs has returned

    def next_job(self) -> Job | None:
        if self.split_jobs:
            return self.split_jobs.popleft()
        for record in list(self.open_records):
            if job := self._next_jobs(record):
                self.open_records.remove(record)
                self.open_records.append(record)
                self.split_jobs.extend(job[1:])
                return job[0]
            if not self._under_way(record):
                record.end_search()
                self.open_records.remove(record)
        return None

    @property
    def ready_count(self) -> int:
        """Packs of one configuration, as it takes no more than that to use a slot; a quarter of all at a time."""
        most = self.quarter * len(self.open_records) - len(self.jobs)
        count = len(self.retries) + len(self.split_jobs)
        for record in self.open_records:
            if record.classes:
                under_way = self._under_way(record)
                count += count_ready(record.ladder, new=self.proposals_left(record), under_way=under_way, most=most)
            else:  # others begin once the first has given the order of the classes
                count += self.proposals_left(record)
        return max(0, min(count, most))

    def resize(self, slots: int) -> None:
        super().resize(slots)
        self.max_new = math.ceil(max(slots, self.quarter) / slots)

    def finish(self, job: Job, curves: list[dict[int, list[float]]] | None, result: dict[str, Any]) -> None:
        step: Step = job.owner
        for part, curves_of_part in zip(job.parts, curves or [{} for _ in job.parts], strict=True):
            step.experiments_left -= len(part.config.classes)
            earlier_curves = step.results[part.configuration]
            step.results[part.configuration] = (
                None if curves is None or earlier_curves is None else {**earlier_curves, **curves_of_part}
            )
        if not step.experiments_left and not step.record.storage_error:  # else a resume continues the training
            step.record.finish_pack(step.rung, step.results)

    def _under_way(self, record: SweepRecord) -> int:
        """The number of running packs of a record."""
        jobs = (*self.jobs.values(), *self.retries, *self.split_jobs)
        return len({id(job.owner) for job in jobs if job.owner.record is record})

    def proposals_left(self, record: SweepRecord) -> int:
        """How many new configurations may still begin."""
        return record.plan.configs - record.ladder.begun_count

    def _next_jobs(self, record: SweepRecord) -> list[Job]:
        under_way, idle = self._under_way(record), max(1, self.slots - len(self.jobs))
        new = self.proposals_left(record)
        if not record.classes:  # the first configuration trains on all of them and gives their order
            return [] if under_way or not new else _make_jobs(record, Pack(0, new=1), idle)
        while pack := record.ladder.next_pack(
            new=new, max_new=self.max_new, limit=self.limit, idle=idle, under_way=under_way
        ):
            if jobs := _make_jobs(record, pack, idle):
                return jobs
        return []

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        return ladder_status(
            self.sweep_records, {part.configuration for job in self.jobs.values() for part in job.parts}
        )

    def newly_ended(self) -> list[EndedTraining]:
        trainings: list[EndedTraining] = []
        for record, returned_count in self.ended_counts.items():
            ended = record.ledger.endings[returned_count:]
            trainings += sorted(
                (configuration.number, record.plan.base.train_seed, configuration.state) for configuration in ended
            )
            self.ended_counts[record] += len(ended)
        return trainings

    def new_climbs(self) -> list[tuple[SweepRecord, Configuration, int]]:
        """The rungs that configurations reached since the last call; the first call returns all."""
        found_climbs: list[tuple[SweepRecord, Configuration, int]] = []
        for record, returned_count in self.climb_counts.items():
            climbs = record.ledger.climbs[returned_count:]
            found_climbs += [
                (record, configuration, rung)
                for configuration, rung in sorted(climbs, key=lambda climb: (climb[0].number, climb[1]))
            ]
            self.climb_counts[record] += len(climbs)
        return found_climbs


def _make_jobs(record: SweepRecord, pack: Pack, idle: int) -> list[Job]:
    """The jobs of a pack; none if the configuration that gave the order of the classes has trained all of it before.

    A pack of one configuration is split among all free slots, so that none has to wait for the others.
    """
    numbers = pack.configurations or _begin_new(record, pack.new)
    parts = {number: _make_parts(record, number, pack.rung) for number in numbers}
    if trained_numbers := [number for number in parts if not parts[number]]:
        record.finish_pack(pack.rung, {number: {} for number in trained_numbers})
    all_parts = list(chain.from_iterable(parts.values()))
    results: dict[int, dict[int, list[float]] | None] = {number: {} for number in parts if parts[number]}
    step = Step(record, pack.rung, sum(len(part.config.classes) for part in all_parts), results)
    shares = _split(all_parts, idle) if len(results) == 1 else [all_parts] if all_parts else []
    return [Job(tuple(share), record.ladder.rungs[pack.rung].epochs, step) for share in shares]


def _split(parts: Sequence[Part], slots: int) -> list[list[Part]]:
    """The experiments of a configuration's parts, split among so many slots."""
    experiments = [(part, index) for part in parts for index in part.config.classes]
    size = math.ceil(len(experiments) / slots)
    shares = [experiments[start : start + size] for start in range(0, len(experiments), size)]
    return [
        [_with_classes(part, own) for part in parts if (own := [index for owner, index in share if owner is part])]
        for share in shares
    ]


def _with_classes(part: Part, classes: Sequence[int]) -> Part:
    if len(classes) == len(part.config.classes):  # all of it: settings that are made anew are checked anew
        return part
    return dataclasses.replace(part, config=dataclasses.replace(part.config, classes=tuple(classes)))


def _begin_new(record: SweepRecord, most: int) -> tuple[int, ...]:
    """Begin the next new configurations, as many as can share a pack; returns their numbers."""
    numbers = islice(record.unbegun_numbers(), most)
    kinds = ((number, record.ladder.kind(record.propose(number).number)) for number in numbers)
    first = next(kinds)
    numbers_of_kind = [first[0], *(number for number, _ in takewhile(lambda pair: pair[1] == first[1], kinds))]
    for number in numbers_of_kind:
        record.begin(number, 0)
    return tuple(numbers_of_kind)


def _make_parts(record: SweepRecord, number: int, rung: int) -> list[Part]:
    """The experiments that a configuration trains to reach a rung, grouped by the epochs already trained."""
    configuration, goal = record.configurations[number], record.ladder.rungs[rung]
    config = dataclasses.replace(record.plan.search_config, **configuration.params)
    classes = record.classes[: goal.classes] or record.plan.classes
    starts: dict[int, list[int]] = {}
    for index in classes:
        if (start := len(configuration.curves.get(index, []))) < goal.epochs:
            starts.setdefault(start, []).append(index)
    return [Part(number, dataclasses.replace(config, classes=tuple(group)), start) for start, group in starts.items()]
