"""The folder of an experiment's files: mlartifacts/ beside its SQLite database, wherever `mlflow ui` runs."""

from __future__ import annotations

import functools
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from adcore.files import check_writable

__all__ = ["check_artifacts", "prepare_artifacts"]

#: The folder beside the database.
FOLDER = "mlartifacts"


def check_artifacts(database: Path, experiment: str) -> None:
    """Raises UserError if the experiment's files could not be written. Creates nothing; the database may be missing."""
    if not database.exists() or not database.stat().st_size:
        _check(database, experiment, database.parent / FOLDER / experiment)
        return
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=60)) as connection:
        place = _find(connection, database, experiment)
    if place.folder is not None:
        _check(database, experiment, place.folder)


def prepare_artifacts(database: Path, experiment: str) -> str:
    """The URI of the folder for a new experiment's files; an existing experiment keeps its own.

    MLflow stores that folder once and for all. If database and files were moved or copied together, it is updated; if
    the files were left behind, they stay there, and that is printed. Raises UserError if the folder cannot be written.
    """
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        place = _find(connection, database, experiment)
        if place.folder is None:
            return str(place.location)
        _check(database, experiment, place.folder)
        if place.location and place.folder != _folder(place.location):
            _update_locations(connection, experiment, place.location, place.folder.as_uri())
    if place.folder != database.parent / FOLDER / experiment:
        _print_once(f"MLflow keeps the files of {experiment!r} in {place.folder}, not beside {database}")
    return place.folder.as_uri()


class Place(NamedTuple):
    """Where an experiment's files are. location: what MLflow says, if it has it; folder: None on a server."""

    location: str | None
    folder: Path | None


def _find(connection: sqlite3.Connection, database: Path, experiment: str) -> Place:
    default_folder = database.parent / FOLDER / experiment
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return Place(None, default_folder)
    row = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", [experiment]).fetchone()
    if row is None:
        return Place(None, default_folder)
    stored_folder = _folder(row[0])
    is_ours = stored_folder is not None and stored_folder.parts[-2:] == default_folder.parts[-2:]
    has_moved = stored_folder is not None and not stored_folder.is_dir()
    if is_ours and (has_moved or _has_files(connection, experiment, default_folder)):
        return Place(row[0], default_folder)
    return Place(row[0], stored_folder)


def _check(database: Path, experiment: str, folder: Path) -> None:
    check_writable(folder, f"--tracking-uri {database}: the files of experiment {experiment!r}, in {folder}")


def _has_files(connection: sqlite3.Connection, experiment: str, folder: Path) -> bool:
    """Whether files of the experiment's runs are in the folder."""
    query = "SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = ?"
    return any((folder / run).is_dir() for (run,) in connection.execute(query, [experiment]))


@functools.cache
def _print_once(line: str) -> None:
    """Print a line once, however often a sweep has to connect."""
    print(line, file=sys.stderr)


def _folder(location: str) -> Path | None:
    """A location's folder on this machine; None if it is elsewhere."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(location) if location.startswith("/") else None


def _update_locations(connection: sqlite3.Connection, experiment: str, old_uri: str, new_uri: str) -> None:
    """Store the new folder for the experiment and for all of its runs."""
    connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", [new_uri, experiment])
    connection.execute(
        "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
        [new_uri, len(old_uri) + 1, len(old_uri) + 1, f"{old_uri}/"],
    )
