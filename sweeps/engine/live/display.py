"""The live display: a progress bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

__all__ = ["Display"]

#: Seconds between two plain lines when nothing has ended.
QUIET_SECONDS = 30.0
#: Seconds between two changes of a bar when nothing has ended.
BAR_SECONDS = 0.1


class _Bar(Progress):
    """A stage's bar, and below it, wrapped where a terminal is narrow, how far the stage is."""

    status = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.status)


class Display:
    """A progress bar per stage with counts, best mean, throughput and time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress: _Bar | None = None
        self.speeds: dict[str, float] = {}  # images per second of the trials under way
        self.stage, self.total, self.epochs_done, self.started, self.printed = "", 0.0, 0.0, 0.0, 0.0
        self.already = 0.0

    def begin(self, stage: str, epochs: float, done: float) -> None:
        """Start a stage of at most `epochs` class-epochs, `done` of them before a resume."""
        self.end()
        self.stage, self.total, self.epochs_done, self.already = stage, epochs, done, done
        self.started, self.printed = time.monotonic(), 0.0
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
            self.progress = _Bar(*columns, TimeElapsedColumn(), console=self.console)
            task = self.progress.add_task(stage, total=epochs, left="")
            self.progress.update(task, completed=done)
            self.progress.start()

    def is_due(self, *, event: bool) -> bool:
        """Whether an update is worth its time. event: something ended."""
        return event or time.monotonic() - self.printed > (BAR_SECONDS if self.progress else QUIET_SECONDS)

    def update(self, counts: str, best: float | None, *, event: bool) -> None:
        """Show how far the stage is; `event`: something ended, worth a line of its own."""
        parts = [counts, f"best mean AUROC {best:.4f}" if best is not None else ""]
        parts += [f"{speed:.0f} images/s" if (speed := sum(self.speeds.values())) else ""]
        self._show(" | ".join(filter(None, parts)), event=event)

    def scored(self, done: int, total: int) -> None:
        """Show how many of all trainings' models have scored the test part, if that takes long."""
        if not self.started or self.stage != "final":
            self.begin("final", total, done)
            self.printed = time.monotonic()
        self.epochs_done = done
        self._show(f"{done} of {total} trainings' models scored", event=False)

    def _show(self, status: str, *, event: bool) -> None:
        if self.progress:
            self.progress.status = status
            self.progress.update(self.progress.task_ids[0], completed=self.epochs_done, left=self._left())
        elif self.is_due(event=event):
            self.print(f"{self.stage}: {status} | {self._left()}")
        else:
            return
        self.printed = time.monotonic()

    def trained(self, trial: str, epochs: float, speed: float) -> None:
        """A trial has trained `epochs` class-epochs."""
        self.epochs_done += epochs
        self.speeds[trial] = speed

    def ended(self, trial: str, saved: float = 0.0) -> None:
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

    def _left(self) -> str:
        done = self.epochs_done - self.already
        if done <= 0:
            return "time left unknown"
        seconds = (time.monotonic() - self.started) / done * max(0.0, self.total - self.epochs_done)
        return f"at most {seconds / 60:.0f} min left" if seconds >= 90 else f"at most {seconds:.0f} s left"
