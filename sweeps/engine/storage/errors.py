"""StorageError: the sweep's own files can no longer be written or read: it stops, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["StorageError", "check_database", "innermost", "one_line", "storage"]

#: Databases of up to so many bytes are checked completely; for larger ones that would take too long.
CHECKED_BYTES = 256_000_000


class StorageError(Exception):
    """Names the file and the reason, in one line."""


@contextmanager
def storage(path: Path) -> Generator[None]:
    """Turn an error of a database or the file system into a StorageError that names `path`."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (OSError, sqlite3.Error, SQLAlchemyError, StorageInternalError) as error:
        raise StorageError(f"{path}: {innermost(error)}") from error


def check_database(path: Path) -> set[str]:
    """Check a SQLite file; returns the names of its tables. A missing file is not created.

    SQLite rolls back what a killed process left half-done in it, so the file has to be writable. Raises
    sqlite3.OperationalError if it cannot be opened or is in use, sqlite3.DatabaseError, in one line, if it was cut or
    overwritten.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=30)) as connection:
        tables = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if path.stat().st_size <= CHECKED_BYTES:
            result = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if result != "ok":
                raise sqlite3.DatabaseError(" ".join(result.split()))
    return tables


def one_line(error: BaseException) -> str:
    """The first line of an error, or its type's name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def innermost(error: BaseException) -> str:
    """The innermost cause in one line: the messages of Optuna, MLflow and SQLAlchemy do not say what is wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)
