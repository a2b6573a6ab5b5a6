"""TimeLimit: what a sweep with --time-limit or --gpu-hours decides so that it ends in time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

from adcore.errors import UserError
from sweeps.engine.live.display import Display
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.time_budget import confirmable_count, duration
from sweeps.engine.record.clock import CHOSEN, Clock
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.confirmation import chosen_in_time, references
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.timed_search import TimedSearch
from sweeps.engine.session import Session
from sweeps.engine.storage.errors import StorageError

__all__ = ["TimeLimit", "left_out_in_words", "time_limit"]

#: A limit that was too short is followed by one for this multiple of what an answer takes at the measured speed, and
#: for the seconds in which a resumed sweep starts.
LONGER, RESTART = 1.5, 30.0


class TimeLimit:
    """The limit of one sweep. clock: the time that it has used. slots: trials at a time. gpus: that a trial takes."""

    def __init__(self, record: SweepRecord, clock: Clock, slots: int, *, gpus: float = 0.0) -> None:
        self.record, self.clock, self.slots, self.gpus = record, clock, slots, gpus
        self.timed_search: TimedSearch | None = None

    def search(self, name: str, *, limit: int, slots: int) -> TimedSearch:
        """The search that ends early enough. limit: experiments in a pack at most."""
        self.timed_search = TimedSearch(name, self.record, self.clock, limit=limit, slots=slots)
        return self.timed_search

    def require_time(self) -> None:
        """Raises UserError if the search found that the time is too short for any answer."""
        if self.timed_search and self.timed_search.too_short_reason:
            raise UserError(f"{self.timed_search.too_short_reason}; resume it with a longer one")

    @property
    def longer(self) -> dict[str, float]:
        """The setting that gives time for an answer, in whole minutes or GPU hours; none if there is time."""
        if not (self.timed_search and self.timed_search.too_short_reason):
            return {}
        more = LONGER * self.timed_search.needed + RESTART
        if self.clock.is_gpu_time:
            return {"gpu_hours": math.ceil(100 * (self.clock.gpu_seconds_used + self.clock.gpus * more) / 3600) / 100}
        return {"time_limit": 60.0 * math.ceil((self.clock.seconds_used + more) / 60)}

    def step(self, display: Display, slots: int) -> None:
        """Keep the times of record and display up to date; an error is kept in the record, and ends the stage.

        slots: trials at a time now.
        """
        if slots != self.slots:
            self.clock.set_gpus(slots * self.gpus)
            self.slots = slots
        if self.timed_search and display.stage == self.timed_search.name:
            display.total = self.record.ladder.budget
            display.most_left = left if (left := self.clock.seconds_left) > 0 else math.inf
        else:
            display.most_left = math.inf
        with contextlib.suppress(StorageError):
            if not self.record.storage_error:
                self.clock.note()

    def choose_confirmed(self, candidates: Sequence[Configuration]) -> list[Configuration]:
        """Those that can be confirmed in the time that is left: the best, then the default, then the others.

        Decided once and recorded: a resumed sweep confirms the same ones. Raises StorageError.
        """
        pace = self.clock.pace
        if self.record.read(CHOSEN) is None:
            self.clock.note(now=True)
            count = len(candidates)
            if pace and count:
                count = confirmable_count(self.record.plan, pace, count, self.slots, self.clock.seconds_left)
            best = next(iter(self.record.best(1)), None)
            default = next(iter(references(self.record).values()), None)
            in_order = sorted(candidates, key=lambda each: (each is not best, each is not default))
            self.record.write(CHOSEN, [each.number for each in in_order][:count])
        return chosen_in_time(self.record, candidates)

    def in_words(self) -> str:
        """How much of the time was used, as a line of the report."""
        return f"time: {duration(self.clock.seconds_used)} of {duration(self.clock.limit)}"


def left_out_in_words(record: SweepRecord, candidates: Sequence[Configuration]) -> list[str]:
    """What there was no time for, as lines of the report; none if no run of the sweep had a limit."""
    if record.read(CHOSEN) is None:
        return []
    lines: list[str] = []
    if (begun_count := len(record.configurations)) < record.plan.configs:
        lines.append(
            f"The time limit ended the search: {begun_count} of {record.plan.configs} configurations. "
            f"--extend {record.path.parent.name} --configs {record.plan.configs} goes on with it."
        )
    chosen = chosen_in_time(record, candidates)
    names = {each.number: f" ({name})" for name, each in references(record).items()}
    if left_out := [f"{each.number}{names.get(each.number, '')}" for each in candidates if each not in chosen]:
        lines.append(f"There was no time to confirm {', '.join(left_out)}, of {len(candidates)} configurations.")
    return lines


def time_limit(record: SweepRecord, session: Session, settings: SweepSettings) -> TimeLimit | None:
    """The limit of a session's sweep, if it has one."""
    if session.limit is None:
        return None
    slots, gpus = session.resources.slots, session.resources.gpus
    is_gpu_time = settings.gpu_hours is not None
    clock = Clock(record, session.limit, session.started, gpus=slots * gpus, is_gpu_time=is_gpu_time)
    return TimeLimit(record, clock, slots, gpus=gpus)
