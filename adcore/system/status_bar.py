"""StatusBar: a progress bar with a line of text below it, which wraps where a terminal is narrow."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.progress import Progress
from rich.text import Text

__all__ = ["StatusBar"]


class StatusBar(Progress):
    """A rich.progress.Progress that shows `status` below its bars."""

    status = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.status)
