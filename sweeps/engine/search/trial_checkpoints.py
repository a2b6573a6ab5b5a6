"""The checkpoints of a trial: in the sweep's folder, or on the worker's own disk with copies in a store."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.at_hand import at_hand, fetch, share
from sweeps.engine.storage.errors import StorageError

if TYPE_CHECKING:
    from adcore.train.checkpoints import Checkpoints

__all__ = ["Uploads", "trial_checkpoints"]

#: A training: configuration, classes and seed.
Work = tuple[int, tuple[int, ...], int]


@contextmanager
def trial_checkpoints(home: SweepHome, works: Sequence[Work]) -> Generator[Checkpoints]:
    """The checkpoints of a pack's trainings; with a store, the last ones are there when this ends without an error.

    A store can be ahead of the record that a resume starts from: then a checkpoint may be that of another
    configuration, which had the same number, and its experiment starts from the beginning.
    Raises StorageError.
    """
    from adcore.train.checkpoints import Checkpoints

    if home.store is None:
        yield Checkpoints(_paths(home, works))
        return
    with at_hand(home) as here, ThreadPoolExecutor(1, thread_name_prefix="upload") as thread:
        paths = _paths(here, works)
        fetch(here, paths, missing_ok=True)
        uploads = Uploads(here, thread)
        yield Checkpoints(paths, strict=False, on_saved=uploads.add, is_busy=uploads.is_busy)
        uploads.finish()


class Uploads:
    """Copies checkpoints to the store of a sweep, one at a time, while training goes on. here: where the files are."""

    def __init__(self, here: SweepHome, thread: ThreadPoolExecutor) -> None:
        self.here, self.thread = here, thread
        self.last: dict[Path, Future[list[str]]] = {}

    def add(self, path: Path) -> None:
        """Copy a file soon, in place of an older state of it whose copy has not begun."""
        if before := self.last.get(path):
            before.cancel()
        self.last[path] = self.thread.submit(share, self.here, [path])

    def is_busy(self) -> bool:
        """Whether copies are still to be made."""
        return not all(each.done() for each in self.last.values())

    def finish(self) -> None:
        """Wait until all are made; one that failed is tried once more. Raises StorageError."""
        for path, copy in self.last.items():
            try:
                copy.result()
            except StorageError:
                share(self.here, [path])


def _paths(home: SweepHome, works: Sequence[Work]) -> list[Path]:
    return [path for work in works for path in home.checkpoints_of(*work)]
