"""StorageError: the sweep's own files cannot be written or read any more; nothing can go on, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["StorageError", "storage"]


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


def _reason(error: BaseException) -> str:
    """The innermost cause: Optuna's and SQLAlchemy's own words do not say what is wrong with the disk."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
