"""LadderSearch: hands out packs of configurations that go up the ladder."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from itertools import count, islice, takewhile
from statistics import fmean
from typing import Any

from sweeps.engine.ladder import Pack
from sweeps.engine.record import Configuration, SweepRecord
from sweeps.engine.searcher import Ended, Job, PackSearcher
from sweeps.engine.trial import Part

__all__ = ["LadderSearch"]


class LadderSearch(PackSearcher):
    """The search of one record, or of several side by side: each has a ladder of its own, and they take turns.

    limit: experiments in a pack, at the most, or those of one configuration. slots: packs at a time.
    """

    keeps_checkpoints = False

    def __init__(self, name: str, records: Sequence[SweepRecord], *, limit: int, slots: int) -> None:
        super().__init__(records)
        self.name, self.ladders, self.limit, self.slots = name, list(records), limit, slots
        self.turns = deque(record for record in records if not record.is_searched)
        self.closed: set[int] = set()  # whose end has been told by newly_closed
        self.told: dict[int, int] = {}  # the rung of each, as told by newly_climbed

    def next_job(self) -> Job | None:
        for record in list(self.turns):
            if job := self._next_of(record):
                self.turns.remove(record)
                self.turns.append(record)
                return job
            if not self._under_way(record):
                record.end_search()
                self.turns.remove(record)
        return None

    def finish(self, job: Job, curves: list[dict[int, list[float]]] | None, result: dict[str, Any]) -> None:
        record, rung = job.owner
        if record.broken:  # after the resume it is trained on
            return
        trained: dict[int, dict[int, list[float]] | None] = {part.configuration: None for part in job.parts}
        for part, own in zip(job.parts, curves or [], strict=False):
            trained[part.configuration] = {**(trained[part.configuration] or {}), **own}
        record.finish_pack(rung, trained)

    def _under_way(self, record: SweepRecord) -> bool:
        return any(job.owner[0] is record for job in (*self.jobs.values(), *self.again))

    def _next_of(self, record: SweepRecord) -> Job | None:
        under_way, idle = self._under_way(record), max(1, self.slots - len(self.jobs))
        proposed = record.plan.configs - record.ladder.begun
        if not record.classes:  # the first to be trained on all of them says in what order they come
            return None if under_way or not proposed else _job(record, Pack(0, new=1))
        while pack := record.ladder.next_pack(new=proposed, limit=self.limit, idle=idle, under_way=under_way):
            if job := _job(record, pack):
                return job
        return None

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts of all records; the best mean is the mean of the records' best ones, once each has one."""
        counts = {state: sum(record.counts()[state] for record in self.ladders) for state in self.ladders[0].counts()}
        training = {part.configuration for job in self.jobs.values() for part in job.parts}
        counts["running"], waiting = len(training), counts["running"] - len(training) + counts["stopped"]
        shown = [f"{counts['complete']} complete", f"{counts['running']} running", f"{max(0, waiting)} waiting"]
        shown += [f"{counts[state]} {state}" for state in ("diverged", "failed") if counts[state]]
        best = [record.best(1)[0].mean or 0.0 for record in self.ladders if record.best(1)]
        total = sum(record.plan.configs for record in self.ladders)
        return f"of {total} configurations {', '.join(shown)}", fmean(best) if len(best) == len(self.ladders) else None

    def newly_closed(self) -> list[Ended]:
        found = [
            (each.number, record.plan.base.train_seed, each.state)
            for record in self.ladders
            for each in record.configurations.values()
            if each.state != "running" and each.number not in self.closed
        ]
        self.closed |= {number for number, _, _ in found}
        return found

    def newly_climbed(self) -> list[tuple[SweepRecord, Configuration]]:
        """Who has reached a higher rung since the last call; at first, all that have reached one."""
        found = [
            (record, each)
            for record in self.ladders
            for each in record.configurations.values()
            if each.rung > self.told.get(each.number, -1)
        ]
        self.told |= {each.number: each.rung for _, each in found}
        return found


def _job(record: SweepRecord, pack: Pack) -> Job | None:
    """What a pack trains; None if all of it was trained before, by who gave the order of the classes."""
    parts = {number: _parts(record, number, pack.rung) for number in pack.configurations or _begun(record, pack.new)}
    if trained := [number for number, own in parts.items() if not own]:
        record.finish_pack(pack.rung, {number: {} for number in trained})
    found = tuple(part for own in parts.values() for part in own)
    return Job(found, record.ladder.rungs[pack.rung].epochs, (record, pack.rung)) if found else None


def _begun(record: SweepRecord, most: int) -> tuple[int, ...]:
    """The next new configurations, which begin by that: as many as can share a pack."""
    numbers = islice((n for n in count(record.first) if not record.ladder.has_begun(n)), most)
    kinds = ((number, record.ladder.kind(record.propose(number).number)) for number in numbers)
    first = next(kinds)
    found = [first[0], *(number for number, kind in takewhile(lambda each: each[1] == first[1], kinds))]
    for number in found:
        record.begin(number, 0)
    return tuple(found)


def _parts(record: SweepRecord, number: int, rung: int) -> list[Part]:
    """What a configuration trains on its way to a rung: its experiments, by how many epochs they have behind them."""
    own, goal = record.configurations[number], record.ladder.rungs[rung]
    config = dataclasses.replace(record.plan.searched, **own.params)
    classes = record.classes[: goal.classes] or record.plan.classes
    starts: dict[int, list[int]] = {}
    for index in classes:
        if (start := len(own.curves.get(index, []))) < goal.epochs:
            starts.setdefault(start, []).append(index)
    return [Part(number, dataclasses.replace(config, classes=tuple(own)), start) for start, own in starts.items()]
