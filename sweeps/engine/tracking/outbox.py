"""The outbox: updates that MLflow has not taken yet, queued on disk beside the record; outlives driver and server.

An update is stored before anything that follows from it is decided, and removed when MLflow has taken it. The same
transaction notes which epochs of which runs were reported, so that a training that resumes from a checkpoint and
repeats its last epochs reports none of them twice.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sweeps.engine.storage.errors import StorageError, storage

__all__ = ["DataInput", "ModelFolder", "Outbox", "RunUpdate"]

#: The highest number that an update can have.
LAST = 2**63 - 1
_TABLES = (
    "CREATE TABLE IF NOT EXISTS updates (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS told (run TEXT, step INTEGER, part TEXT, body TEXT, PRIMARY KEY (run, step, part))",
    "CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, id TEXT NOT NULL)",
)


@dataclasses.dataclass(frozen=True)
class DataInput:
    """A part of a data set that a sweep reads. digest: the hash of its content."""

    name: str
    part: str
    digest: str


@dataclasses.dataclass
class ModelFolder:
    """A saved MLflow model to log with a run and to register.

    name: of the registered model. tags: of the version; they name the configuration.
    """

    folder: str
    name: str
    tags: dict[str, str]


@dataclasses.dataclass
class RunUpdate:
    """An update of a run, which is named by its key within the sweep. metrics: (name, value, step, milliseconds).

    inputs: DataInputs as plain values. columns: parameters that a table of the sweep's configurations shows; metric: by
    which it is sorted.
    """

    key: str
    parent: str | None = None
    name: str | None = None
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = dataclasses.field(default_factory=list)
    artifacts: list[str] = dataclasses.field(default_factory=list)  # files
    status: str | None = None
    inputs: list[dict[str, str]] = dataclasses.field(default_factory=list)
    columns: list[str] = dataclasses.field(default_factory=list)
    metric: str = ""
    model: ModelFolder | None = None

    @property
    def paths(self) -> set[str]:
        """The files and the model's folder that it holds."""
        return {*self.artifacts, *([self.model.folder] if self.model else [])}

    @property
    def has_files_alone(self) -> bool:
        """Whether it holds only files."""
        return self == RunUpdate(self.key, artifacts=self.artifacts, model=self.model)

    def merge(self, later: RunUpdate) -> None:
        """Take in a later update of the same run; neither holds a model."""
        self.parent, self.name = self.parent or later.parent, self.name or later.name
        self.tags |= later.tags
        self.params |= later.params
        self.metrics += later.metrics
        self.artifacts += later.artifacts
        self.inputs += later.inputs
        self.columns, self.metric = later.columns or self.columns, later.metric or self.metric
        self.status = later.status or self.status


class Outbox:
    """Updates in the order in which they were put; safe to use from several threads.

    Every method raises StorageError if the file cannot be written or read. storage_error: the first such error.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.RLock()
        self.storage_error: StorageError | None = None
        self._is_open = False  # within a transaction
        with storage(path):
            self.database = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            for table in _TABLES:
                self.database.execute(table)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All that is put within is stored together, or not at all; without anything put, the file is not touched."""
        with self._storage():
            if self._is_open:
                yield
                return
            self._is_open = True
            try:
                yield
                if self.database.in_transaction:
                    self.database.execute("COMMIT")
            except BaseException:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                raise
            finally:
                self._is_open = False

    def _write(self, statement: str, *values: str | int) -> sqlite3.Cursor:
        """Within a transaction."""
        if not self.database.in_transaction:
            self.database.execute("BEGIN IMMEDIATE")
        return self.database.execute(statement, values)

    @contextmanager
    def _storage(self) -> Generator[None]:
        try:
            with self.lock, storage(self.path):
                yield
        except StorageError as error:
            self.storage_error = self.storage_error or error
            raise

    def put(self, update: RunUpdate) -> None:
        """Append an update. Files beside the outbox get relative paths, so that both can be moved together."""
        stored = vars(update) | {"artifacts": [self._relative(path) for path in update.artifacts]}
        if update.model:
            stored["model"] = vars(update.model) | {"folder": self._relative(update.model.folder)}
        body = json.dumps(stored)
        with self.transaction():
            self._write("INSERT INTO updates (body) VALUES (?)", body)

    def note(self, run: str, step: int, part: str, values: dict[str, dict[str, float]]) -> bool:
        """Note that a part of a run's step is reported; False, and nothing changes, if it was before."""
        with self.transaction():
            row = run, step, part, json.dumps(values)
            return self._write("INSERT OR IGNORE INTO told VALUES (?, ?, ?, ?)", *row).rowcount == 1

    def noted_values(self, run: str, step: int) -> dict[str, dict[str, float]]:
        """The noted values of a run at a step, all parts together."""
        with self._storage():
            rows = self.database.execute("SELECT body FROM told WHERE run = ? AND step = ?", [run, step]).fetchall()
        return {name: values for (body,) in rows for name, values in json.loads(body).items()}

    def note_run(self, run: str, identity: str) -> None:
        """Note MLflow's id of a run."""
        with self.transaction():
            self._write("INSERT OR REPLACE INTO runs VALUES (?, ?)", run, identity)

    def runs(self) -> dict[str, str]:
        """MLflow's ids by run."""
        with self._storage():
            return dict(self.database.execute("SELECT run, id FROM runs").fetchall())

    def run_keys(self) -> set[str]:
        """The keys of all runs that MLflow has or that wait for it."""
        with self._storage():  # SQLite's own JSON refuses the NaN of a diverged training
            waiting = {json.loads(body)["key"] for (body,) in self.database.execute("SELECT body FROM updates")}
        return waiting | self.runs().keys()

    def oldest(self, count: int, *, after: int = 0, until: int | None = None) -> list[tuple[int, RunUpdate]]:
        """The first updates in the queue after number `after`, up to number `until`, with their numbers."""
        query = "SELECT id, body FROM updates WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        with self._storage():
            rows = self.database.execute(query, [after, LAST if until is None else until, count]).fetchall()
        updates: list[tuple[int, RunUpdate]] = []
        for number, body in rows:
            stored = json.loads(body)
            update = RunUpdate(**stored)
            update.metrics = [(name, value, step, at) for name, value, step, at in update.metrics]
            update.artifacts = [str(self.path.parent / file) for file in update.artifacts]
            if model := stored.get("model"):
                update.model = ModelFolder(**{**model, "folder": str(self.path.parent / model["folder"])})
            updates.append((number, update))
        return updates

    def drop(self, numbers: list[int]) -> None:
        """Remove delivered updates."""
        with self.transaction():
            for number in numbers:
                self._write("DELETE FROM updates WHERE id = ?", number)

    def _relative(self, path: str) -> str:
        home = self.path.parent
        return os.path.relpath(path, home) if Path(path).is_relative_to(home) else path

    def __len__(self) -> int:
        with self._storage():
            return int(self.database.execute("SELECT count(*) FROM updates").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.database.close()
