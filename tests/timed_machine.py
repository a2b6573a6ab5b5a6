"""A machine of one slot that trains at a given speed, on a clock of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sweeps.engine.planning.time_budget import trained_images
from sweeps.engine.record.clock import Clock
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.timed_search import TimedSearch
from tests.sweep_parts import Sweep

__all__ = ["STARTUP", "Machine", "quality"]

#: Seconds before the first trial and before each of the others.
STARTUP, PAUSE = 8.0, 0.2


def quality(number: int, index: int, epoch: int) -> float:
    return 0.5 + (number * 37 % 101) / 300 + index / 1000 + epoch / 10_000


class Machine(Sweep):
    """One slot that trains `speed(seconds)` class-epochs in a second, on a clock of its own.

    fixed: seconds that an epoch takes besides, however many experiments are in the pack.
    """

    def __init__(self, record: SweepRecord, limit: float, speed: Any, at: float = 0.0, fixed: float = 0.0) -> None:
        self.seconds, self.speed, self.fixed = at, speed, fixed
        self.clock = Clock(record, limit, at, now=lambda: self.seconds)
        self.timed = TimedSearch("search", record, self.clock, limit=10, slots=1)
        super().__init__(record, quality, search=self.timed)
        self.rates = trained_images(record.plan.search_config)

    def start(self) -> SimpleNamespace | None:
        pause = PAUSE if self.started else STARTUP
        trial = super().start()
        self.seconds += pause
        return trial

    def report(self, trial: SimpleNamespace, epoch: int) -> dict[str, Any]:
        training = [part for part in trial.parts if epoch > part.start]
        if training:
            self.images_per_second = self.speed(self.seconds) * self.rates
            self.seconds += self.fixed + sum(len(part.config.classes) for part in training) / self.speed(self.seconds)
        result = super().report(trial, epoch)
        self.clock.note()
        return result
