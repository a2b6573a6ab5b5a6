"""Clock: how much of its time a sweep with a limit has used, and how fast it trains; both in its record."""

from __future__ import annotations

import time
from collections.abc import Callable

from sweeps.engine.planning.time_budget import Pace, TimedTrial, pace_of
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.record.progress import CLOCK, now_as_text

__all__ = ["CHOSEN", "Clock"]

#: Attribute: the numbers of the configurations that there is time to confirm.
CHOSEN = "chosen"
#: Trials that the pace is measured on: the last ones.
TRIALS = 8
#: Seconds between two notes of the time; a sweep that is killed forgets at most this.
EVERY = 5.0


class Clock:
    """Counts the time while a driver runs the sweep, and the time of the GPUs that its trials can take.

    limit: seconds in all. started_at: when this driver began, as `now` returns it, in seconds. gpus: that trials can
    take at a time now. is_gpu_time: the limit is one of the GPUs' time together, which would be used up after so many
    seconds with `gpus` of them.
    """

    def __init__(
        self,
        record: Attributes,
        limit: float,
        started_at: float,
        now: Callable[[], float] = time.monotonic,
        *,
        gpus: float = 0.0,
        is_gpu_time: bool = False,
    ) -> None:
        stored = record.read(CLOCK) or {"used": 0.0, "startup": 0.0, "trials": []}
        self.record, self.now, self.gpus = record, now, gpus
        self.is_gpu_time = is_gpu_time
        self._limit, self._gpu_limit = limit, gpus * limit if is_gpu_time else None
        self.began_at = started_at - stored["used"]
        # a record of a version that did not count GPU time: as if there had always been as many as now
        self._gpu_seconds, self._gpus_since = stored.get("gpu_seconds", gpus * stored["used"]), started_at
        self.trials = [TimedTrial(*each) for each in stored["trials"]]
        self.noted_seconds, self.startup = stored["used"], stored["startup"]

    @property
    def seconds_used(self) -> float:
        """Seconds that the sweep has run, over all its drivers."""
        return self.now() - self.began_at

    @property
    def gpu_seconds_used(self) -> float:
        """The same of all GPUs together."""
        return self._gpu_seconds + self.gpus * (self.now() - self._gpus_since)

    @property
    def limit(self) -> float:
        """Seconds in all; of a limit of GPU time, if the number of GPUs stays as it is."""
        if self._gpu_limit is None:
            return self._limit
        return self.seconds_used + (self._gpu_limit - self.gpu_seconds_used) / self.gpus

    @property
    def seconds_left(self) -> float:
        """Seconds that it may still run; negative beyond the limit."""
        return self.limit - self.seconds_used

    @property
    def pace(self) -> Pace | None:
        """How fast the last trials were; None before the first."""
        return pace_of(self.trials, self.startup)

    def set_gpus(self, gpus: float) -> None:
        """From now on, trials can take so many GPUs at a time."""
        self._gpu_seconds, self._gpus_since = self.gpu_seconds_used, self.now()
        self.gpus = gpus

    def note_trial(self, trial: TimedTrial) -> None:
        """A trial has ended."""
        self.startup = max(self.startup, trial.pause)
        self.trials = [*self.trials, trial][-TRIALS:]

    def note(self, *, now: bool = False) -> None:
        """Write the time to the record if the last note is old, or now. Raises StorageError."""
        if now or self.seconds_used - self.noted_seconds > EVERY:
            self.noted_seconds = self.seconds_used
            used = {"used": self.noted_seconds, "gpu_seconds": self.gpu_seconds_used}
            pace = {"startup": self.startup, "trials": self.trials}
            self.record.write(CLOCK, {"limit": self.limit, **used, **pace, "noted": now_as_text()})
