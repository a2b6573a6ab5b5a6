"""Where a sweep's things are: absolute, so that the next command may be given in any folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from adcore.errors import UserError
from sweeps.engine.run_settings import RunSettings

__all__ = ["SQLITE", "absolute", "database_path", "database_uri", "followed"]

#: How the address of a SQLite file begins.
SQLITE = "sqlite:///"
Settings = TypeVar("Settings", bound=RunSettings)


def database_uri(path: Path) -> str:
    """The address of a SQLite file, for Optuna, MLflow and the command line."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def database_path(uri: str) -> Path:
    """The file of sqlite:///FILE, absolute. FILE is taken as it is typed, or with %20 for what a URL cannot hold.

    Raises UserError if it cannot be a file.
    """
    from sqlalchemy import make_url

    text = uri.removeprefix(SQLITE)
    found = [Path(text), Path(str(make_url(uri).database))]
    if "?" in found[0].name or not found[0].name or ":memory:" in text:
        raise UserError(f"--tracking-uri {uri!r}: expected {SQLITE}FILE, a file without options")
    try:
        there = [path for path in found if path.exists()] or [path for path in found if path.parent.is_dir()]
        return (there or found)[0].resolve()
    except (OSError, RuntimeError) as error:  # links that lead in a circle
        raise UserError(f"--tracking-uri {text}: not a usable file ({error})") from error


def absolute(settings: Settings) -> Settings:
    """The same settings with every place as an absolute one. Raises UserError for a place that cannot be one."""
    changes: dict[str, Any] = {"storage": str(Path(settings.storage).expanduser().resolve())}
    if settings.tracking_uri.startswith(SQLITE):
        changes["tracking_uri"] = database_uri(database_path(settings.tracking_uri))
    if settings.data_dir is not None:
        try:
            changes["data_dir"] = str(Path(settings.data_dir).expanduser().absolute())
        except RuntimeError as error:  # the home folder of nobody
            raise UserError(f"--data-dir {settings.data_dir!r}: {error}; name an existing folder") from error
    return dataclasses.replace(settings, **changes)


def followed(stored: Mapping[str, Any], storage: Path) -> dict[str, Any]:
    """A record's settings on where things are, now that its storage is this one.

    Where a whole project was moved or copied, the MLflow database and the data that came along are meant.
    """
    before, found = Path(stored["storage"]), {**stored, "storage": str(storage)}
    if before == storage or not before.is_absolute():
        return found
    if stored["tracking_uri"].startswith(SQLITE):
        path = _moved(database_path(stored["tracking_uri"]), before, storage)
        found["tracking_uri"] = database_uri(path)
    if stored["data_dir"] is not None:
        found["data_dir"] = str(_moved(Path(stored["data_dir"]), before, storage))
    return found


def _moved(place: Path, before: Path, now: Path) -> Path:
    """Where a place is if it lies to `now` as it lay to `before`; where it was, if nothing is there."""
    moved = Path(os.path.normpath(now / os.path.relpath(place, before)))
    return moved if moved.exists() else place
