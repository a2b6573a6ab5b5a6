"""Clock: how much of its time a sweep with a limit has used, and how fast it trains; both in its record."""

from __future__ import annotations

import time
from collections.abc import Callable

from sweeps.engine.planning.time_budget import Pace, pace_of
from sweeps.engine.record.attributes import Attributes

__all__ = ["CHOSEN", "CLOCK", "Clock"]

#: Attributes of the record: the time, and the numbers of the configurations that there is time to confirm.
CLOCK, CHOSEN = "clock", "chosen"
#: Trials that the pace is measured on: the last ones.
TRIALS = 8
#: Seconds between two notes of the time; a sweep that is killed forgets at most this.
EVERY = 5.0


class Clock:
    """Counts the time while a driver runs the sweep. limit: seconds in all. started_at: when this driver began, as
    `now` returns it, in seconds."""

    def __init__(
        self, record: Attributes, limit: float, started_at: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        stored = record.read(CLOCK) or {"used": 0.0, "startup": 0.0, "trials": []}
        self.record, self.limit, self.now = record, limit, now
        self.began_at = started_at - stored["used"]
        self.trials: list[tuple[float, float, float]] = [(s, n, t) for s, n, t in stored["trials"]]
        self.noted_seconds, self.startup = stored["used"], stored["startup"]

    @property
    def seconds_used(self) -> float:
        """Seconds that the sweep has run, over all its drivers."""
        return self.now() - self.began_at

    @property
    def seconds_left(self) -> float:
        """Seconds that it may still run; negative beyond the limit."""
        return self.limit - self.seconds_used

    @property
    def pace(self) -> Pace | None:
        """How fast the last trials were; None before the first."""
        return pace_of(self.trials, self.startup)

    def note_trial(self, startup: float, class_epochs: float, seconds: float) -> None:
        """A trial has ended: its seconds before training, its class-epochs and their seconds."""
        self.startup = max(self.startup, startup)
        self.trials = [*self.trials, (startup, class_epochs, seconds)][-TRIALS:]

    def note(self, *, now: bool = False) -> None:
        """Write the time to the record if the last note is old, or now. Raises StorageError."""
        if now or self.seconds_used - self.noted_seconds > EVERY:
            self.noted_seconds = self.seconds_used
            state = {"limit": self.limit, "used": self.noted_seconds, "startup": self.startup, "trials": self.trials}
            self.record.write(CLOCK, state)
