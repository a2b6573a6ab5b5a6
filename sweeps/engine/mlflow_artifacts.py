"""Where the files of an experiment lie: in mlartifacts/ beside its SQLite database, wherever `mlflow ui` is started."""

from __future__ import annotations

import functools
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from adcore.files import check_writable

__all__ = ["prepare_artifacts"]

#: The folder beside the database.
FOLDER = "mlartifacts"


def prepare_artifacts(database: Path, experiment: str) -> str:
    """The place of the experiment's files as a URI, for an experiment that is new; one that is there has its own.

    MLflow notes that place once and for all. Where database and files were moved or copied together, the note follows;
    where the files alone were left behind they stay there, and that is said. Raises UserError if that place cannot be
    written.
    """
    own = database.parent / FOLDER / experiment
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        row = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", [experiment]).fetchone()
        noted = _folder(row[0]) if row else own
        if noted is None:
            return str(row[0])
        is_ours = noted.parts[-2:] == own.parts[-2:]
        if noted != own and is_ours and (not noted.is_dir() or _came_along(connection, experiment, own)):
            check_writable(own, f"--tracking-uri {database}: the files of experiment {experiment!r}, in {own}")
            _follow(connection, experiment, row[0], own.as_uri())
            noted = own
    check_writable(noted, f"--tracking-uri {database}: the files of experiment {experiment!r}, in {noted}")
    if noted != own:
        _say(f"MLflow keeps the files of {experiment!r} in {noted}, not beside {database}")
    return noted.as_uri()


def _came_along(connection: sqlite3.Connection, experiment: str, own: Path) -> bool:
    """Whether files of the experiment's runs lie there."""
    query = "SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = ?"
    return any((own / run).is_dir() for (run,) in connection.execute(query, [experiment]))


@functools.cache
def _say(line: str) -> None:
    """Once, however often a sweep has to connect."""
    print(line, file=sys.stderr)


def _folder(location: str) -> Path | None:
    """A location's folder on this machine; None if it is elsewhere."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(location) if location.startswith("/") else None


def _follow(connection: sqlite3.Connection, experiment: str, before: str, now: str) -> None:
    """Note the new place for the experiment and for all of its runs."""
    connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", [now, experiment])
    connection.execute(
        "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
        [now, len(before) + 1, len(before) + 1, f"{before}/"],
    )
