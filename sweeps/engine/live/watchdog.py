"""Watchdog: kills workers that hang, so that Tune restarts their trials."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune.experiment import Trial

__all__ = ["Watchdog"]

#: Seconds between two steps of Tune beyond which the driver itself was suspended: it received no reports.
ASLEEP = 20.0
#: Seconds between two looks at all trials, of which Tune keeps those that have ended, too.
EVERY = 1.0


class Watchdog:
    """Tracks since when each worker has been silent. limit: seconds, more than the longest epoch; clock: seconds."""

    def __init__(
        self, limit: float, *, kill: Callable[[Any], object] = ray.kill, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit, self.kill, self.clock = limit, kill, clock
        self.silent_since: dict[str, tuple[Any, float]] = {}  # worker, and when it last reported, by trial
        self.killed: set[str] = set()
        self.last_step = self.last_look = clock()

    def note_report(self, trial: Trial) -> None:
        """A trial has reported."""
        self.killed.discard(trial.trial_id)
        self.silent_since.pop(trial.trial_id, None)

    def was_killed(self, trial: Trial) -> bool:
        """Whether a trial's worker was killed for its silence, and it has not reported since."""
        return trial.trial_id in self.killed

    def kill_silent(self, trials: list[Trial]) -> None:
        """Called at each step: kill the workers that were silent for too long."""
        now = self.clock()
        if (slept := now - self.last_step) > ASLEEP:
            self.silent_since = {name: (worker, at + slept) for name, (worker, at) in self.silent_since.items()}
        self.last_step = now
        if now - self.last_look < EVERY:
            return
        self.last_look = now
        for trial in trials:
            worker = trial.temporary_state.ray_actor
            known_worker, at = self.silent_since.get(trial.trial_id, (None, now))
            if worker is None:
                self.silent_since.pop(trial.trial_id, None)
            elif known_worker is not worker:  # from now on it has work to do, even if only to start up
                self.silent_since[trial.trial_id] = worker, now
            elif now - at > self.limit:
                self.killed.add(trial.trial_id)
                self.silent_since[trial.trial_id] = worker, now
                self.kill(worker)
