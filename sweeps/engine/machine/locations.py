"""Paths and addresses of a sweep: absolute, so that the next command works in any folder."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from adcore.errors import UserError
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.storage.address import absolute_folder

__all__ = [
    "SQLITE",
    "check_name",
    "database_path",
    "database_uri",
    "resolve_database",
    "with_absolute_paths",
    "with_moved_paths",
]

#: How the address of a SQLite file begins.
SQLITE = "sqlite:///"
Settings = TypeVar("Settings", bound=RunSettings)


def database_uri(path: Path) -> str:
    """The address of a SQLite file, for Optuna, MLflow and the command line."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def database_path(uri: str) -> Path:
    """The file of sqlite:///FILE, absolute. Raises UserError if it cannot be a file."""
    from sqlalchemy import make_url

    url = make_url(uri)
    if url.query or not Path(url.database or "").name or url.database == ":memory:":
        raise UserError(f"--tracking-uri {uri!r}: expected {SQLITE}FILE, a file without options")
    try:
        path = Path(str(url.database)).resolve()
    except (OSError, RuntimeError) as error:  # circular links
        raise UserError(f"--tracking-uri {url.database}: not a usable file ({error})") from error
    check_name(path, "--tracking-uri")
    return path


def resolve_database(uri: str) -> str:
    """The address that a typed one means: its file's name is taken literally, or with %20 for a space.

    Raises UserError if it cannot be a file.
    """
    typed = Path(uri.removeprefix(SQLITE))
    check_name(typed.absolute(), "--tracking-uri")
    if "?" not in typed.name and _is_literal(typed, uri):
        return database_uri(database_path(database_uri(typed)))
    return database_uri(database_path(uri))


def _is_literal(typed: Path, uri: str) -> bool:
    """Whether the file exists under its literal name, or can be created and does not exist under its decoded name."""
    try:
        if typed.exists() or not typed.parent.is_dir():
            return typed.exists()
        return not database_path(uri).exists()
    except UserError:  # not a valid URL
        return True
    except (OSError, RuntimeError) as error:  # circular links
        raise UserError(f"--tracking-uri {typed}: not a usable file ({error})") from error


def check_name(path: Path | str, flag: str) -> None:
    """Raises UserError, which begins with the flag, for a path that is not text: no address can hold it."""
    if re.search("[\ud800-\udfff]", str(path)):  # how Python shows bytes that it cannot decode
        encoding = sys.getfilesystemencoding()
        hint = "" if encoding == "utf-8" else ", or set PYTHONUTF8=1 if it is UTF-8"
        raise UserError(f"{flag}: {str(path)!a} is not text in {encoding}; use another folder{hint}")


def with_absolute_paths(settings: Settings) -> Settings:
    """The same settings with absolute paths. Raises UserError for a path that cannot be made absolute."""
    changes: dict[str, Any] = {"storage": str(absolute_folder(settings.storage, "--storage"))}
    check_name(changes["storage"], "--storage")
    if settings.checkpoints and "://" not in settings.checkpoints:
        changes["checkpoints"] = str(absolute_folder(settings.checkpoints, "--checkpoints"))
        check_name(changes["checkpoints"], "--checkpoints")
    if settings.tracking_uri.startswith(SQLITE):
        changes["tracking_uri"] = resolve_database(settings.tracking_uri)
    if settings.data_dir is not None:
        try:
            changes["data_dir"] = str(Path(settings.data_dir).expanduser().absolute())
            check_name(changes["data_dir"], "--data-dir")
        except RuntimeError as error:  # the home folder of an unknown user
            raise UserError(f"--data-dir {settings.data_dir!r}: {error}; name an existing folder") from error
    return dataclasses.replace(settings, **changes)


def with_moved_paths(stored: Mapping[str, Any], storage: Path) -> dict[str, Any]:
    """A record's settings, with its paths updated for its present storage.

    If a project was moved or copied, they name the MLflow database and the data that came along.
    """
    old_storage = Path(stored["storage"])
    if not old_storage.is_absolute():  # the record of a version that kept paths as typed
        stored = _with_anchored_paths(stored, storage)
        old_storage = Path(stored["storage"])
    settings = {**stored, "storage": str(storage)}
    if old_storage == storage or not old_storage.is_absolute():
        return settings
    if stored["tracking_uri"].startswith(SQLITE):
        path = _moved_path(database_path(stored["tracking_uri"]), old_storage, storage)
        settings["tracking_uri"] = database_uri(path)
    for name in ("data_dir", "checkpoints"):
        if stored.get(name) is not None and "://" not in stored[name]:
            settings[name] = str(_moved_path(Path(stored[name]), old_storage, storage))
    return settings


def _with_anchored_paths(stored: Mapping[str, Any], storage: Path) -> Mapping[str, Any]:
    """Relative paths made absolute if their files exist in the folder that the storage is relative to."""
    parts = Path(stored["storage"]).parts
    if ".." in parts or storage.parts[len(storage.parts) - len(parts) :] != parts:
        return stored
    base, settings = Path(*storage.parts[: len(storage.parts) - len(parts)]), {**stored, "storage": str(storage)}
    database = base / stored["tracking_uri"].removeprefix(SQLITE)
    if stored["tracking_uri"].startswith(SQLITE) and database.exists():
        settings["tracking_uri"] = database_uri(database)
    if stored["data_dir"] is not None and (data := base / stored["data_dir"]).exists():
        settings["data_dir"] = str(data)
    return settings


def _moved_path(path: Path, old_storage: Path, storage: Path) -> Path:
    """`path`, moved along from `old_storage` to `storage`; unchanged if nothing exists there."""
    moved = Path(os.path.normpath(storage / os.path.relpath(path, old_storage)))
    return moved if moved.exists() else path
