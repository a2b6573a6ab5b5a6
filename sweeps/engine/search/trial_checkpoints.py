"""The checkpoints of a trial: in the sweep's folder, or on the worker's own disk with copies in a store."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.local_files import fetch_files, local_home, upload_files
from sweeps.engine.storage.errors import StorageError

if TYPE_CHECKING:
    from adcore.train.checkpoints import Checkpoints

__all__ = ["Uploads", "trial_checkpoints"]

#: A training: configuration, classes and seed.
TrainingKey = tuple[int, tuple[int, ...], int]


@contextmanager
def trial_checkpoints(home: SweepHome, trainings: Sequence[TrainingKey]) -> Generator[Checkpoints]:
    """The checkpoints of a pack's trainings; with a store, the last ones are there when this ends without an error.

    A store can be ahead of the record that a resume starts from: then a checkpoint may be that of another
    configuration, which had the same number, and its experiment starts from the beginning.
    Raises StorageError.
    """
    from adcore.train.checkpoints import Checkpoints

    if home.store is None:
        yield Checkpoints(_paths(home, trainings))
        return
    with local_home(home) as local, ThreadPoolExecutor(1, thread_name_prefix="upload") as thread:
        paths = _paths(local, trainings)
        fetch_files(local, paths, missing_ok=True)
        uploads = Uploads(local, thread)
        yield Checkpoints(paths, strict=False, on_saved=uploads.add, is_busy=uploads.is_busy)
        uploads.finish()


class Uploads:
    """Copies checkpoints to the store of a sweep, one at a time, while training goes on. home: where the files are."""

    def __init__(self, home: SweepHome, thread: ThreadPoolExecutor) -> None:
        self.home, self.thread = home, thread
        self.copies: dict[Path, Future[list[str]]] = {}

    def add(self, path: Path) -> None:
        """Copy a file soon, in place of an older state of it whose copy has not begun."""
        if pending_copy := self.copies.get(path):
            pending_copy.cancel()
        self.copies[path] = self.thread.submit(upload_files, self.home, [path])

    def is_busy(self) -> bool:
        """Whether copies are still to be made."""
        return not all(copy.done() for copy in self.copies.values())

    def finish(self) -> None:
        """Wait until all are made; one that failed is tried once more. Raises StorageError."""
        for path, copy in self.copies.items():
            try:
                copy.result()
            except StorageError:
                upload_files(self.home, [path])


def _paths(home: SweepHome, trainings: Sequence[TrainingKey]) -> list[Path]:
    return [path for training in trainings for path in home.checkpoints_of(*training)]
