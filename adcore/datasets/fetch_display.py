"""Progress display of a fetch, on stderr: bars in a terminal, a line per file elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID

from adcore.datasets.files import Progress as Report

__all__ = ["fetch_progress"]


@contextmanager
def fetch_progress() -> Generator[Report]:
    """Yield the `progress` argument of `load` and `fill_cache`. Shows nothing if nothing is fetched."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
                if not console.is_terminal:
                    console.print(f"fetching {what}", highlight=False, soft_wrap=True)
            bars.update(tasks[what], completed=done, total=total)

        yield show
