"""StorageError: the sweep's own files cannot be written or read any more; nothing can go on, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["StorageError", "check_database", "one_line", "storage"]


class StorageError(Exception):
    """Names the file and the reason, in one line."""


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn what a database or the file system says of `path` into a StorageError."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (OSError, sqlite3.Error, SQLAlchemyError, StorageInternalError) as error:
        raise StorageError(f"{path}: {_reason(error)}") from error


def check_database(connection: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError, in one line, for a database that was cut or overwritten."""
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise sqlite3.DatabaseError(" ".join(found.split()))


def one_line(error: BaseException) -> str:
    """What an error says, or its name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _reason(error: BaseException) -> str:
    """The innermost cause: Optuna's and SQLAlchemy's own words do not say what is wrong with the disk."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)
