"""Simulated time: slots that train class-epochs, one unit each, and what has been reported when."""

from __future__ import annotations

import dataclasses
import heapq
from itertools import count

from .policies import Policy

__all__ = ["Report", "compute_of", "simulate"]


@dataclasses.dataclass(frozen=True)
class Report:
    """One epoch of a trial. spent: class-epochs of work of all slots by then, epochs under way counted in part."""

    spent: float
    row: int
    classes: tuple[int, ...]
    epoch: int


def simulate(policy: Policy, workers: int) -> list[Report]:
    """Run a policy to its end on so many slots; its reports in the order of their time.

    An epoch takes a slot one unit of time per class of the trial. A free slot starts the next trial at once; a decision
    falls when the report comes. An idle slot costs nothing: compute is counted, not the time until the end.
    """
    reports: list[Report] = []
    running = []  # heap of (time of the next report, number to break ties, trial, epoch)
    numbers = count()
    clock = spent = 0.0
    waiting = True
    while True:
        while waiting and len(running) < workers:
            trial = policy.start()
            waiting = trial is not None
            if trial is not None:
                heapq.heappush(running, (clock + len(trial.classes), next(numbers), trial, 1))
        if not running:
            return reports
        now, _, trial, epoch = heapq.heappop(running)
        spent += (len(running) + 1) * (now - clock)
        clock = now
        reports.append(Report(spent, trial.row, trial.classes, epoch))
        if policy.report(trial, epoch):
            heapq.heappush(running, (clock + len(trial.classes), next(numbers), trial, epoch + 1))


def compute_of(reports: list[Report], row: int | None = None) -> int:
    """Class-epochs trained, of one configuration or of all."""
    return sum(len(report.classes) for report in reports if row is None or report.row == row)
