"""A snapshot of a sweep's databases while they are in use: an archive in a temporary folder."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Generator, Sequence
from pathlib import Path

from sweeps.engine.remote.local_files import temporary_folder
from sweeps.engine.storage.errors import StorageError, one_line, storage

__all__ = ["TemporaryFolderError", "take_snapshot"]


class TemporaryFolderError(StorageError):
    """The folder for temporary files cannot be written: no harm to the sweep, whose own files are elsewhere."""


def take_snapshot(databases: Sequence[Path], name: str) -> tuple[Path, int]:
    """An archive of this name, alone in a folder that the caller removes, and the number of the last update in it.

    databases: SQLite files, record and outboxes. Raises TemporaryFolderError, and StorageError for one of them.
    """
    last = 0
    with _new_folder() as folder:
        archive = folder / name
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for path in databases:
                copy = folder / path.name
                last = max(last, _copy_database(path, copy))
                packed.write(copy, path.name)
                copy.unlink()
    return archive, last


@contextlib.contextmanager
def _new_folder() -> Generator[Path]:
    """A temporary folder, which stays if all goes well within. Raises TemporaryFolderError."""
    folder = None
    try:
        folder = temporary_folder()
        yield folder
    except BaseException as error:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError | sqlite3.Error):
            raise
        place = tempfile.tempdir or "no place for temporary files"  # None: Python has found none that it can write to
        raise TemporaryFolderError(f"{place} (TMPDIR): {one_line(error)}") from error


def _copy_database(path: Path, copy: Path) -> int:
    """Copy a SQLite file that is in use; returns the number of the last update in it, if it is an outbox.

    Raises StorageError if the file cannot be read, sqlite3.Error if the copy cannot be written.
    """
    with storage(path):
        source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=60)
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        tables = {name for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "updates" not in tables:
            return 0
        [(last,)] = target.execute("SELECT seq FROM sqlite_sequence WHERE name = 'updates'").fetchall() or [(0,)]
        return int(last)
