"""A record read while a driver may be writing it.

SQLite's own reader opens the file read-only and in milliseconds; Optuna would open it for writing, and would take its
tables for its own to create or to compare.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from adcore.errors import UserError
from sweeps.engine.storage.errors import one_line

__all__ = ["RecordFile", "Trial", "read_record"]

#: Seconds to wait while a driver commits.
PATIENCE = 30.0
#: SQLite's name of the error that a killed driver left a write half-done, which only a writer could roll back.
HALF_DONE = "SQLITE_READONLY_ROLLBACK"


@dataclasses.dataclass(frozen=True)
class Trial:
    """A configuration. state: how it ended, or running. params: as Optuna's study holds them."""

    number: int
    state: str
    params: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RecordFile:
    """What a record holds. trials: of the search over all classes. searches: the attributes of each class's own search.

    started: when the first configuration was proposed, with its time zone.
    """

    attributes: dict[str, Any]
    trials: list[Trial]
    searches: list[dict[str, Any]]
    started: datetime.datetime | None


def read_record(path: Path) -> RecordFile:
    """Read a record in one transaction, and change nothing. Raises UserError for a file that is not a whole record."""
    try:
        if not path.is_file():  # a pipe would wait for its writer
            raise UserError(f"{path}: not the record of a sweep (no ordinary file)")
        return _read(path)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == HALF_DONE:
            return _read_copy(path)
        raise UserError(f"{path}: not the record of a sweep, or damaged ({one_line(error)})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: damaged, it holds a value that is not one of a record's") from error


def _read_copy(path: Path) -> RecordFile:
    """Read a copy, in which SQLite undoes what a killed driver has left half-done."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        for ending in ("", "-journal"):
            shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return _read(copy)


def _read(path: Path) -> RecordFile:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN")
        studies = dict(connection.execute("SELECT study_name, study_id FROM studies").fetchall())
        if "sweep" not in studies:
            raise UserError(f"{path}: not the record of a sweep (no study of that name)")
        attributes = connection.execute("SELECT study_id, key, value_json FROM study_user_attributes").fetchall()
        main = (studies["sweep"],)
        trials = connection.execute(
            "SELECT trial_id, number, datetime_start FROM trials WHERE study_id = ? ORDER BY number", main
        ).fetchall()
        states = connection.execute("SELECT trial_id, value_json FROM trial_user_attributes WHERE key = 'state'")
        ended = {trial: json.loads(value) for trial, value in states.fetchall()}
        params = connection.execute("SELECT trial_id, param_name, param_value, distribution_json FROM trial_params")
        rows = params.fetchall()
        [version] = connection.execute("SELECT library_version FROM version_info").fetchone()
    by_study: dict[int, dict[str, Any]] = {number: {} for number in studies.values()}
    for study, key, value in attributes:
        by_study[study][key] = json.loads(value)
    sampled: dict[int, dict[str, Any]] = {}
    for trial, name, value, distribution in rows:
        sampled.setdefault(trial, {})[name] = _value(value, json.loads(distribution))
    times = [_with_zone(datetime.datetime.fromisoformat(started), version) for _, _, started in trials if started]
    return RecordFile(
        by_study[studies["sweep"]],
        [Trial(number, ended.get(trial, "running"), sampled.get(trial, {})) for trial, number, _ in trials],
        [by_study[number] for name, number in studies.items() if name != "sweep"],
        min(times, default=None),
    )


def _with_zone(time: datetime.datetime, version: str) -> datetime.datetime:
    """A time as this version of Optuna has stored it: from 5 on in UTC, before in local time."""
    is_utc = int(version.partition(".")[0]) >= 5
    return time.replace(tzinfo=datetime.UTC) if is_utc else time.astimezone()


def _value(stored: float, distribution: dict[str, Any]) -> Any:
    """A parameter's value, from the number that Optuna stores in its place."""
    if distribution["name"] == "CategoricalDistribution":
        return distribution["attributes"]["choices"][int(stored)]
    return int(stored) if distribution["name"] == "IntDistribution" else stored
