"""LadderSearch: hands out packs of configurations that go up the ladder."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Sequence
from itertools import islice, takewhile
from statistics import fmean
from typing import Any

from sweeps.engine.planning.labels import count_of
from sweeps.engine.planning.ladder import Pack, count_ready
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.searcher import Ended, Job, PackSearcher
from sweeps.engine.search.trial import Part

__all__ = ["LadderSearch"]


@dataclasses.dataclass(eq=False)
class Step:
    """Configurations on their way to a rung. left: experiments to be trained; trained: the results of the others."""

    record: SweepRecord
    rung: int
    left: int
    trained: dict[int, dict[int, list[float]] | None]


class LadderSearch(PackSearcher):
    """The search of one record, or of several side by side: each has its own ladder, and they take turns.

    limit: experiments in a pack at most, unless one configuration has more. slots: packs at a time.
    """

    keeps_checkpoints = False

    def __init__(self, name: str, records: Sequence[SweepRecord], *, limit: int, slots: int) -> None:
        super().__init__(records)
        self.name, self.ladders, self.limit = name, list(records), limit
        # what trains at the same time is proposed without each other's results: so only a quarter of all at once
        self.quarter = math.ceil(records[0].plan.configs / 4)
        self.ranked_by = records[0].plan.metric
        self.resize(slots)
        self.turns = deque(record for record in records if not record.is_searched)
        self.cut: deque[Job] = deque()  # the rest of a pack that several free slots train
        self.closed = dict.fromkeys(self.ladders, 0)  # how many that have ended newly_closed has returned
        self.climbed = dict.fromkeys(self.ladders, 0)  # how many climbs newly_climbed has returned

    def next_job(self) -> Job | None:
        if self.cut:
            return self.cut.popleft()
        for record in list(self.turns):
            if job := self._next_of(record):
                self.turns.remove(record)
                self.turns.append(record)
                self.cut.extend(job[1:])
                return job[0]
            if not self._under_way(record):
                record.end_search()
                self.turns.remove(record)
        return None

    @property
    def ready(self) -> int:
        """Packs of one configuration, as it takes no more than that to use a slot; a quarter of all at a time."""
        most = self.quarter * len(self.turns) - len(self.jobs)
        found = len(self.again) + len(self.cut)
        for record in self.turns:
            if record.classes:
                under_way = self._under_way(record)
                found += count_ready(record.ladder, new=self.proposable(record), under_way=under_way, most=most)
            else:  # others begin once the first has given the order of the classes
                found += self.proposable(record)
        return max(0, min(found, most))

    def resize(self, slots: int) -> None:
        super().resize(slots)
        self.at_once = math.ceil(max(slots, self.quarter) / slots)

    def finish(self, job: Job, curves: list[dict[int, list[float]]] | None, result: dict[str, Any]) -> None:
        step: Step = job.owner
        for part, own in zip(job.parts, curves or [{} for _ in job.parts], strict=True):
            step.left -= len(part.config.classes)
            known = step.trained[part.configuration]
            step.trained[part.configuration] = None if curves is None or known is None else {**known, **own}
        if not step.left and not step.record.storage_error:  # else a resume continues the training
            step.record.finish_pack(step.rung, step.trained)

    def _under_way(self, record: SweepRecord) -> int:
        """The number of running packs of a record."""
        jobs = (*self.jobs.values(), *self.again, *self.cut)
        return len({id(job.owner) for job in jobs if job.owner.record is record})

    def proposable(self, record: SweepRecord) -> int:
        """How many new configurations may still begin."""
        return record.plan.configs - record.ladder.begun_count

    def _next_of(self, record: SweepRecord) -> list[Job]:
        under_way, idle = self._under_way(record), max(1, self.slots - len(self.jobs))
        proposed = self.proposable(record)
        if not record.classes:  # the first configuration trains on all of them and gives their order
            return [] if under_way or not proposed else _jobs(record, Pack(0, new=1), idle)
        while pack := record.ladder.next_pack(
            new=proposed, max_new=self.at_once, limit=self.limit, idle=idle, under_way=under_way
        ):
            if jobs := _jobs(record, pack, idle):
                return jobs
        return []

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts of all records; the best mean is the mean of the records' best ones, once each has one."""
        counts = [record.ledger.counts() for record in self.ladders]
        states = {state: sum(own[state] for own in counts) for state in counts[0]}
        training = {part.configuration for job in self.jobs.values() for part in job.parts}
        waiting = max(0, states["running"] - len(training))
        shown = [f"{states['complete']} complete", f"{len(training)} running", f"{waiting} waiting"]
        shown += [f"{states[state]} {state}" for state in ("stopped", "diverged", "failed") if states[state]]
        best = [own.mean or 0.0 for record in self.ladders for own in record.best(1)]
        total = sum(record.plan.configs for record in self.ladders)
        mean = fmean(best) if len(best) == len(self.ladders) else None
        return f"of {count_of(total, 'configuration')} {', '.join(shown)}", mean

    def newly_closed(self) -> list[Ended]:
        found: list[Ended] = []
        for record, known in self.closed.items():
            ended = record.ledger.endings[known:]
            found += sorted((own.number, record.plan.base.train_seed, own.state) for own in ended)
            self.closed[record] += len(ended)
        return found

    def newly_climbed(self) -> list[tuple[SweepRecord, Configuration, int]]:
        """The rungs that configurations reached since the last call; the first call returns all."""
        found: list[tuple[SweepRecord, Configuration, int]] = []
        for record, known in self.climbed.items():
            climbed = record.ledger.climbs[known:]
            found += [(record, own, rung) for own, rung in sorted(climbed, key=lambda each: (each[0].number, each[1]))]
            self.climbed[record] += len(climbed)
        return found


def _jobs(record: SweepRecord, pack: Pack, idle: int) -> list[Job]:
    """The jobs of a pack; none if the configuration that gave the order of the classes has trained all of it before.

    A pack of one configuration is split among all free slots, so that none has to wait for the others.
    """
    parts = {number: _parts(record, number, pack.rung) for number in pack.configurations or _begun(record, pack.new)}
    if known := [number for number, own in parts.items() if not own]:
        record.finish_pack(pack.rung, {number: {} for number in known})
    found = [part for own in parts.values() for part in own]
    trained: dict[int, dict[int, list[float]] | None] = {number: {} for number, own in parts.items() if own}
    step = Step(record, pack.rung, sum(len(part.config.classes) for part in found), trained)
    cut = _cut(found, idle) if len(trained) == 1 else [found] if found else []
    return [Job(tuple(own), record.ladder.rungs[pack.rung].epochs, step) for own in cut]


def _cut(parts: Sequence[Part], slots: int) -> list[list[Part]]:
    """The experiments of a configuration's parts, split among so many slots."""
    experiments = [(part, index) for part in parts for index in part.config.classes]
    size = math.ceil(len(experiments) / slots)
    shares = [experiments[start : start + size] for start in range(0, len(experiments), size)]
    return [
        [_of_part(part, own) for part in parts if (own := [index for each, index in share if each is part])]
        for share in shares
    ]


def _of_part(part: Part, classes: Sequence[int]) -> Part:
    if len(classes) == len(part.config.classes):  # all of it: settings that are made anew are checked anew
        return part
    return dataclasses.replace(part, config=dataclasses.replace(part.config, classes=tuple(classes)))


def _begun(record: SweepRecord, most: int) -> tuple[int, ...]:
    """Begin the next new configurations, as many as can share a pack; returns their numbers."""
    numbers = islice(record.unbegun_numbers(), most)
    kinds = ((number, record.ladder.kind(record.propose(number).number)) for number in numbers)
    first = next(kinds)
    found = [first[0], *(number for number, _ in takewhile(lambda each: each[1] == first[1], kinds))]
    for number in found:
        record.begin(number, 0)
    return tuple(found)


def _parts(record: SweepRecord, number: int, rung: int) -> list[Part]:
    """The experiments that a configuration trains to reach a rung, grouped by the epochs already trained."""
    own, goal = record.configurations[number], record.ladder.rungs[rung]
    config = dataclasses.replace(record.plan.search_config, **own.params)
    classes = record.classes[: goal.classes] or record.plan.classes
    starts: dict[int, list[int]] = {}
    for index in classes:
        if (start := len(own.curves.get(index, []))) < goal.epochs:
            starts.setdefault(start, []).append(index)
    return [Part(number, dataclasses.replace(config, classes=tuple(own)), start) for start, own in starts.items()]
