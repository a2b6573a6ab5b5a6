"""Generated sweeps: random events of concurrently running trials, in the orders in which Ray may deliver them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import random
from collections.abc import Callable, Collection, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from hypothesis import strategies as st
from sweep_parts import Sweep, record_of, small_plan

from sweeps.engine.blocks import BlockASHA, stop_groups
from sweeps.engine.plan import Plan
from sweeps.engine.record import Block, Job, SweepRecord

__all__ = ["FAULTS", "Case", "Controller", "Event", "Rung", "cases", "rungs", "snapshot"]

AUROC = st.integers(0, 100).map(lambda percent: percent / 100)
#: What may happen to a trial besides its reports and its end. retry: it goes on from an earlier epoch; quit: it ends
#: by itself, whether or not it has reached its last one.
FAULTS = ("late", "retry", "nonfinite", "fail", "quit")
#: Epochs, grace, reduction; of the last two, one has no rung before its end, and one no rung at its end.
RUNGS = ((9, 1, 3), (9, 1, 2), (5, 2, 2), (4, 1, 4), (2, 2, 3))


@dataclasses.dataclass(frozen=True)
class Case:
    """A sweep and the luck of its trials. size: members per trial. fault_rate: of each fault, per event."""

    classes: int
    size: int
    configs: int
    rungs: tuple[int, int, int]
    slots: int
    fault_rate: float
    seed: int

    @property
    def plan(self) -> Plan:
        epochs, grace, reduction = self.rungs
        classes = tuple(range(self.classes))
        return small_plan(classes, configs=self.configs, epochs=epochs, grace=grace, reduction=reduction)

    def record(self) -> SweepRecord:
        return record_of(self.plan, size=self.size)


@st.composite
def cases(draw: st.DrawFn, *, split: bool | None = None, classes: tuple[int, int] = (1, 4)) -> Case:
    """Sweeps with `classes` (from, to) classes; split: more than one trial per block, one, or (None) either."""
    count = draw(st.integers(max(classes[0], 2 if split else 1), classes[1]))
    sizes = [size for size in range(1, count + 1) if count % size == 0 and split in (None, size < count)]
    return Case(
        classes=count,
        size=draw(st.sampled_from(sizes)),
        configs=draw(st.integers(4, 8)),
        rungs=draw(st.sampled_from(RUNGS)),
        slots=draw(st.integers(1, 16)),
        fault_rate=draw(st.sampled_from([0.02, 0.06])),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


class Event(NamedTuple):
    """What has just happened. kind: start, report, late, end or fail; repeated: its epoch had been reported before."""

    kind: str
    trial: SimpleNamespace
    epoch: int = 0
    values: tuple[float, ...] = ()
    repeated: bool = False
    goes_on: bool = True

    @property
    def job(self) -> Job:
        return Job(self.trial.config["configuration"], self.trial.config["group"])


@dataclasses.dataclass
class _Run:
    """A trial under way, the epoch it is at, and the last one that it has ever reported."""

    trial: SimpleNamespace
    epoch: int = 0
    reached: int = 0


class Controller:
    """Ray's TuneController at random: starts trials while slots are free, and passes on what they report."""

    def __init__(self, case: Case, faults: Collection[str] = FAULTS) -> None:
        self.case, self.faults, self.luck = case, faults, random.Random(case.seed)
        self.sweep, self.epochs = Sweep(case.record()), case.rungs[0]
        self.under_way: list[_Run] = []
        self.gone: list[SimpleNamespace] = []
        self.proposing = True

    @property
    def record(self) -> SweepRecord:
        return self.sweep.record

    def block(self, event: Event) -> Block:
        return self.record.blocks[event.job.configuration]

    def events(self) -> Iterator[Event]:
        """Event after event, to the end of the sweep."""
        while self.proposing or self.under_way:
            if event := self._start() if self._starts() else self._go_on():
                yield event

    def reopen(self) -> None:
        """Another record of the same study takes the place of this one; what is under way goes on."""
        launched = {number: block.launched for number, block in self.record.blocks.items()}
        record = SweepRecord(self.record.study, self.record.plan, self.record.groups)
        self.sweep.record = self.sweep.search.record = self.sweep.asha.record = record
        for number, block in record.blocks.items():
            block.launched = launched[number]

    def _starts(self) -> bool:
        free = self.proposing and len(self.under_way) < self.case.slots
        return free and (not self.under_way or self.luck.random() < 0.5)

    def _start(self) -> Event | None:
        trial = self.sweep.start()
        if trial is None:
            self.proposing = False
            return None
        self.under_way.append(_Run(trial))
        return Event("start", trial)

    def _go_on(self) -> Event | None:
        if self._fault("late") and self.gone:
            return self._late(self.luck.choice(self.gone))
        run = self.luck.choice(self.under_way)
        if self._fault("fail"):
            self.sweep.fail(run.trial)
            return self._gone(run, "fail")
        if self._fault("retry"):
            run.epoch = self.luck.randint(0, run.epoch)
            return None
        if run.epoch == self.epochs or self._fault("quit"):
            self.sweep.end(run.trial)
            return self._gone(run, "end")
        return self._report(run)

    def _fault(self, kind: str) -> bool:
        return kind in self.faults and self.luck.random() < self.case.fault_rate

    def _late(self, trial: SimpleNamespace) -> Event:
        event = Event("late", trial, self.luck.randint(1, self.epochs), self._values(), repeated=True)
        return event._replace(goes_on=self.sweep.asha.goes_on(event.job, event.epoch, list(event.values)))

    def _gone(self, run: _Run, kind: str) -> Event:
        self.under_way.remove(run)
        self.gone.append(run.trial)
        return Event(kind, run.trial, run.reached)

    def _report(self, run: _Run) -> Event:
        run.epoch += 1
        values, repeated = self._values(), run.epoch <= run.reached
        if self._fault("nonfinite"):
            place = self.luck.randrange(len(values))
            bad = self.luck.choice((math.nan, math.inf, -math.inf))
            values = (*values[:place], bad, *values[place + 1 :])
        run.reached = max(run.reached, run.epoch)
        goes_on = self.sweep.report(run.trial, run.epoch, *values)
        if not goes_on:
            self._gone(run, "stop")
        return Event("report", run.trial, run.epoch, values, repeated, goes_on)

    def _values(self) -> tuple[float, ...]:
        digits, spread = self.luck.choice((1, 3, 16)), self.luck.choice((0.9, 0.01))  # ties, and nearly ties, happen
        return tuple(round(0.9 - spread * self.luck.random(), digits) for _ in range(self.case.size))


@dataclasses.dataclass
class Rung:
    """A block's group that arrives at a rung, and the other blocks there."""

    groups: int
    size: int
    arrives: int
    own: dict[int, list[float]]
    others: list[tuple[dict[int, list[float]], bool]]  # values by group, whether stopped there

    @property
    def prefix(self) -> int:
        here = {*self.own, self.arrives}
        return next(count for count in range(self.groups + 1) if count not in here)

    def stops(self, epoch: int = 1) -> bool:
        record = _record(self.groups, self.size)
        own = {group: values for group, values in self.own.items() if group != self.arrives}
        record.blocks = {0: Block(0, {}, {epoch: own})}
        for number, (values, stopped) in enumerate(self.others, start=1):
            block = record.blocks[number] = Block(number, {}, {epoch: values})
            block.stopped_at = (epoch, block.prefix(epoch)) if stopped else None
        cutoff = BlockASHA(record)._brackets[0].cutoff
        return bool(stop_groups(record, cutoff, record.blocks[0], self.arrives, epoch, self.own[self.arrives]))

    def with_others(self, change: Callable[[int, list[float]], list[float] | None]) -> Rung:
        """The other blocks' values after a change; None takes one away."""
        changed = [
            ({group: new for group, old in values.items() if (new := change(group, old)) is not None}, stopped)
            for values, stopped in self.others
        ]
        return dataclasses.replace(self, others=changed)


@st.composite
def rungs(draw: st.DrawFn) -> Rung:
    groups, size = draw(st.integers(2, 5)), draw(st.integers(1, 2))
    values = st.lists(AUROC, min_size=size, max_size=size)

    def present(gapless: int) -> dict[int, list[float]]:
        return {group: draw(values) for group in range(groups) if group < gapless or draw(st.booleans())}

    own = present(draw(st.sampled_from(range(1, groups + 1))))
    sizes = st.sampled_from([groups, *range(groups)])
    others = [
        (present(draw(sizes)), draw(st.sampled_from([False, False, True]))) for _ in range(draw(st.integers(3, 7)))
    ]
    return Rung(groups, size, draw(st.sampled_from(sorted(own))), own, others)


@functools.cache
def _record(groups: int, size: int) -> SweepRecord:
    return record_of(small_plan(tuple(range(groups * size))), size=size)


def snapshot(record: SweepRecord) -> dict[str, Any]:
    """All that the record and its study hold."""
    return {
        "blocks": copy.deepcopy(record.blocks),
        "trials": record.study.get_trials(),
        "facts": dict(record.study.user_attrs),
    }
