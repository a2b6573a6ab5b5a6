"""The live display: a progress bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from adcore.metric_names import LABELS
from adcore.system.status_bar import StatusBar
from sweeps.engine.planning.labels import count_of

__all__ = ["Display"]

#: Seconds between two plain lines when nothing has ended.
QUIET_SECONDS = 30.0
#: Seconds between two changes of a bar when nothing has ended.
BAR_SECONDS = 0.1


class Display:
    """A progress bar per stage with counts, best mean, throughput and time left.

    metric: what the best mean is of. slots: those of a cluster, now; None for a local Ray. most_left: seconds that a
    limit leaves.
    """

    def __init__(self, console: Console) -> None:
        self.console, self.metric = console, LABELS["auroc"]
        self.progress: StatusBar | None = None
        self.speeds: dict[str, float] = {}  # images per second of the trials under way, 0 before their first report
        self.stage, self.total, self.epochs_done, self.started_at, self.printed_at = "", 0.0, 0.0, 0.0, 0.0
        self.done_before, self.most_left = 0.0, math.inf
        self.slots: int | None = None
        self.slot_seconds = 0.0  # of the stage, up to `since`, when the number of slots changed
        self.slots_since = 0.0

    def set_slots(self, slots: int) -> None:
        """From now on, a cluster has so many slots."""
        if self.slots is not None and slots != self.slots:
            self.print(f"the cluster's nodes have changed: {count_of(slots, 'slot')} for trials, {self.slots} before")
        self.slot_seconds, self.slots_since = self._slot_seconds(), time.monotonic()
        self.slots = slots

    def begin(self, stage: str, epochs: float, done: float) -> None:
        """Start a stage of at most `epochs` class-epochs, `done` of them before a resume."""
        self.end()
        self.stage, self.total, self.epochs_done, self.done_before = stage, epochs, done, done
        self.started_at, self.printed_at = time.monotonic(), 0.0
        self.slot_seconds, self.slots_since = 0.0, self.started_at
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
            self.progress = StatusBar(*columns, TimeElapsedColumn(), console=self.console)
            task = self.progress.add_task(stage, total=epochs, left="")
            self.progress.update(task, completed=done)
            self.progress.start()

    def is_due(self, *, event: bool) -> bool:
        """Whether an update is worth its time. event: something ended."""
        return event or time.monotonic() - self.printed_at > (BAR_SECONDS if self.progress else QUIET_SECONDS)

    def update(self, counts: str, best: float | None, *, event: bool) -> None:
        """Show how far the stage is; `event`: something ended, worth a line of its own."""
        slots = (
            "" if self.slots is None else count_of(self.slots, "slot") if self.slots else "no slot, waiting for a node"
        )
        parts = [counts, slots, f"best mean {self.metric} {best:.4f}" if best is not None else ""]
        known = [speed for speed in self.speeds.values() if speed]  # the others are taken to be as fast
        parts += [f"{fmean(known) * len(self.speeds):.0f} images/s" if known else ""]
        self._show(" | ".join(filter(None, parts)), event=event)

    def show_scored(self, done: int, total: int) -> None:
        """Show how many of all trainings' models have scored the test part, if that takes long."""
        if not self.started_at or self.stage != "final":
            self.begin("final", total, done)
            self.printed_at = time.monotonic()
        self.epochs_done = done
        self._show(f"{done} of {total} trainings' models scored", event=False)

    def _show(self, status: str, *, event: bool) -> None:
        if self.progress:
            self.progress.status = status
            self.progress.update(self.progress.task_ids[0], completed=self.epochs_done, left=self._time_left())
        elif self.is_due(event=event):
            self.print(f"{self.stage}: {status} | {self._time_left()}")
        else:
            return
        self.printed_at = time.monotonic()

    def start_trial(self, trial: str) -> None:
        """A trial has started, or started again."""
        self.speeds.setdefault(trial, 0.0)

    def add_epochs(self, trial: str, epochs: float, speed: float) -> None:
        """A trial has trained `epochs` class-epochs."""
        self.epochs_done += epochs
        self.speeds[trial] = speed

    def end_trial(self, trial: str, saved: float = 0.0) -> None:
        """A trial has ended, and `saved` of its epochs were not needed."""
        self.speeds.pop(trial, None)
        self.total -= saved
        if self.progress:
            self.progress.update(self.progress.task_ids[0], total=self.total)

    def end(self) -> None:
        """End the stage's bar."""
        if self.progress:
            self.progress.stop()
        self.progress = None
        self.speeds.clear()

    def print(self, *content: Any) -> None:
        """Print above the bar."""
        self.console.print(*content, highlight=False, soft_wrap=True)

    def _time_left(self) -> str:
        done = self.epochs_done - self.done_before
        if done <= 0 or self.slots == 0:
            return "time left unknown"
        seconds = self._slot_seconds() / done * max(0.0, self.total - self.epochs_done) / (self.slots or 1)
        seconds = min(seconds, self.most_left)
        return f"at most {seconds / 60:.0f} min left" if seconds >= 90 else f"at most {seconds:.0f} s left"

    def _slot_seconds(self) -> float:
        """The time that the slots of this stage have been there, all together."""
        return self.slot_seconds + (time.monotonic() - self.slots_since) * (1 if self.slots is None else self.slots)
