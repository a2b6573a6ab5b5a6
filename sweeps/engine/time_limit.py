"""TimeLimit: what a sweep with --time-limit or --gpu-hours decides so that it ends in time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from adcore.errors import UserError
from sweeps.engine.live.display import Display
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.time_budget import confirmable_count, duration
from sweeps.engine.record.clock import CHOSEN, Clock
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.confirmation import references
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.timed_search import TimedSearch
from sweeps.engine.session import Session
from sweeps.engine.storage.errors import StorageError

__all__ = ["TimeLimit", "time_limit"]


class TimeLimit:
    """The limit of one sweep. clock: the time that it has used. slots: trials at a time.

    limits_slot_time: whether it limits the time of all slots together.
    """

    def __init__(self, record: SweepRecord, clock: Clock, slots: int, *, limits_slot_time: bool = False) -> None:
        self.record, self.clock, self.slots, self.limits_slot_time = record, clock, slots, limits_slot_time
        self.timed_search: TimedSearch | None = None

    def search(self, name: str, *, limit: int, slots: int) -> TimedSearch:
        """The search that ends early enough. limit: experiments in a pack at most."""
        self.timed_search = TimedSearch(name, self.record, self.clock, limit=limit, slots=slots)
        return self.timed_search

    def require_time(self) -> None:
        """Raises UserError if the search found that the time is too short for any answer."""
        if self.timed_search and self.timed_search.too_short_reason:
            raise UserError(f"{self.timed_search.too_short_reason}; resume it with a longer one")

    def step(self, display: Display, slots: int) -> None:
        """Keep the times of record and display up to date; an error is kept in the record, and ends the stage.

        slots: trials at a time now.
        """
        if slots != self.slots:
            if self.limits_slot_time:
                self.clock.limit = self.clock.seconds_used + self.clock.seconds_left * self.slots / slots
            self.slots = slots
        if self.timed_search and display.stage == self.timed_search.name:
            display.total = self.record.ladder.budget
        with contextlib.suppress(StorageError):
            if not self.record.storage_error:
                self.clock.note()

    def choose_confirmed(self, candidates: Sequence[Configuration]) -> list[Configuration]:
        """Those that can be confirmed in the time that is left: the best, then the default, then the others.

        Decided once and recorded: a resumed sweep confirms the same ones. Raises StorageError.
        """
        pace, chosen = self.clock.pace, self.record.read(CHOSEN)
        if chosen is None:
            self.clock.note(now=True)
            count = len(candidates)
            if pace and count:
                count = confirmable_count(self.record.plan, pace, count, self.slots, self.clock.seconds_left)
            default = next(iter(references(self.record).values()), None)
            others = sorted(candidates[1:], key=lambda each: each is not default)
            chosen = [each.number for each in (*candidates[:1], *others)][:count]
            self.record.write(CHOSEN, chosen)
        return [each for each in candidates if each.number in chosen]

    def in_words(self, candidates: Sequence[Configuration]) -> list[str]:
        """What the limit has changed, and how much of it was used, as lines of the report."""
        used = f"time: {duration(self.clock.seconds_used)} of {duration(self.clock.limit)}"
        return [used, *self.changes(candidates)]

    def changes(self, candidates: Sequence[Configuration]) -> list[str]:
        """What the limit has changed, a sentence each."""
        lines: list[str] = []
        if (begun_count := len(self.record.configurations)) < self.record.plan.configs:
            lines.append(
                f"The time limit ended the search: {begun_count} of {self.record.plan.configs} configurations."
            )
        chosen = self.record.read(CHOSEN) or []
        names = {each.number: f" ({name})" for name, each in references(self.record).items()}
        if unconfirmed := [f"{n}{names.get(n, '')}" for each in candidates if (n := each.number) not in chosen]:
            lines.append(f"There was no time to confirm {', '.join(unconfirmed)}, of {len(candidates)} configurations.")
        return lines


def time_limit(record: SweepRecord, session: Session, settings: SweepSettings) -> TimeLimit | None:
    """The limit of a session's sweep, if it has one."""
    if session.limit is None:
        return None
    clock = Clock(record, session.limit, session.started)
    return TimeLimit(record, clock, session.resources.slots, limits_slot_time=settings.gpu_hours is not None)
