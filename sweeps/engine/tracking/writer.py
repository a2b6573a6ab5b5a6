"""Delivers the outbox to MLflow from a background thread, one batch per run touched, so that no trial waits for it."""

from __future__ import annotations

import logging
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adcore.errors import UserError
from sweeps.engine.machine.storage import StorageError, innermost
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.runs import KEY_TAG, is_deleted, runs_of_sweep
from sweeps.engine.tracking.store import connect, is_gone, require_database

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = ["MlflowWriter"]

#: MLflow's codes for what no repetition mends: a run that somebody deleted, a value that it does not take.
PERMANENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS")
#: Most metrics in one batch (MLflow's limit), and updates that are taken from the outbox at a time.
BATCH, CHUNK = 1000, 500
#: Seconds between two tries when closing, and characters of the longest reason that is shown.
PAUSE, REASON = 1.0, 250


class MlflowWriter:
    """A thread that delivers an outbox, in order. Runs that the sweep left earlier are gone on with.

    What cannot be delivered stays in the outbox and is tried again, what MLflow refuses in the next session; a sweep
    never waits for it. Delivering twice does no harm, whatever became of the first time: runs are found by their key,
    and MLflow itself drops a metric that it has with the same step and time.
    """

    def __init__(self, uri: str, experiment: str, sweep_id: str, outbox: Outbox, *, period: float = 3.0) -> None:
        self.uri, self.experiment, self.sweep_id, self.period = uri, experiment, sweep_id, period
        self.outbox = outbox
        self.wake = threading.Event()
        self.patience: float | None = None  # set when closing
        self.error: Exception | None = None  # of the last delivery, None if it went well
        self.has_failed = False  # a request that was given up may still have been carried out
        self.refused: dict[str, str] = {}  # why MLflow does not take the updates of a run, by key
        self.unwritten: dict[str, str] = {}  # why a run's files could not be copied, by key
        self.client: MlflowClient | None = None
        self.experiment_id = ""
        self.runs: dict[str, str] = {}  # run id by key
        self.lost: set[str] = set()  # keys of runs that are no longer there
        self.ends: dict[str, tuple[str | None, str | None]] = {}  # tag `state` and status by key
        self.thread = threading.Thread(target=self._deliver_until_closed, name="mlflow-writer", daemon=True)
        self.thread.start()

    def close(self, *, patience: float = 30.0) -> bool:
        """Deliver what is left; False if that fails or takes more than `patience` seconds."""
        self.patience = patience
        self.wake.set()
        self.thread.join(patience + 5)
        return self.is_done and not self.thread.is_alive()

    def abandon(self) -> None:
        """Mark the runs under way as killed and deliver nothing more: the outbox was removed. Never raises an error."""
        self.patience = 0.0
        self.wake.set()
        self.thread.join(5)
        with suppress(Exception):
            require_database(self.uri)
            from mlflow.tracking import MlflowClient

            client = MlflowClient(self.uri)
            for key, run_id in self.runs.items():
                if self.ends.get(key, (None, None))[1] in (None, "RUNNING"):
                    client.set_terminated(run_id, "KILLED")

    @property
    def is_done(self) -> bool:
        """Whether MLflow has been told everything."""
        with suppress(StorageError):
            return not len(self.outbox)
        return False

    @property
    def lacks_runs(self) -> bool:
        """Whether runs of the sweep are no longer there: a resume with this queue and this MLflow is refused."""
        return bool(self.lost or (is_gone(self.uri) and self.outbox.runs()))

    @property
    def reason(self) -> str:
        """Why not everything was delivered, in one line."""
        refused = [f"{key}: {reason}" for each in (self.refused, self.unwritten) for key, reason in each.items()]
        if isinstance(self.error, UserError) and not refused:
            return str(self.error)
        text = "; ".join(refused[:3]) or (innermost(self.error) if self.error else "there was no time for it")
        return textwrap.shorten(text, REASON, placeholder=" ...")

    def _deliver_until_closed(self) -> None:
        deadline: float | None = None
        while True:
            if self.patience is not None and deadline is None:
                deadline = time.monotonic() + self.patience
            try:
                is_empty = self._deliver()
                self.error = None
            except Exception as error:
                self.error, self.client, self.has_failed, is_empty = error, None, True, False
            if deadline is not None and (is_empty or time.monotonic() > deadline):
                return
            if deadline is None:
                self.wake.wait(self.period)
            else:
                time.sleep(PAUSE)

    def _deliver(self) -> bool:
        """Deliver all that MLflow takes; True when that was done."""
        require_database(self.uri)
        client, last = self._connect(), 0
        while queued := self.outbox.oldest(CHUNK, after=last):
            last = queued[-1][0]
            numbers: dict[str, list[int]] = {}
            merged: dict[str, RunUpdate] = {}  # parents were put before their children
            for number, update in queued:
                numbers.setdefault(update.key, []).append(number)
                if update.key in merged:
                    merged[update.key].merge(update)
                else:
                    merged[update.key] = update
            for key, update in merged.items():
                if self._takes(client, update):
                    self.outbox.drop(numbers[key])
        if self.has_failed and self.patience is not None:  # once more at the end: a late create may have doubled a run
            self._find_runs(client)
        return True

    def _takes(self, client: MlflowClient, update: RunUpdate) -> bool:
        """Write an update; False if MLflow refuses its run, for now and until the next session."""
        if update.key in self.unwritten and update.has_files_alone:
            return False
        if update.key not in self.refused:
            try:
                self._write(client, update)
            except Exception as error:
                if getattr(error, "error_code", None) not in PERMANENT:
                    raise
                self.refused[update.key] = str(error)
        return update.key not in self.refused

    def _connect(self) -> MlflowClient:
        if self.client is None:
            client, self.experiment_id = connect(self.uri, self.experiment)
            self._find_runs(client)
            self.client = client
        return self.client

    def _find_runs(self, client: MlflowClient) -> None:
        """Take up the sweep's runs; of two with one key, made by a request that was given up too early, one goes.

        A run that somebody has deleted is not made again, nor one that is no longer there: what they are told is
        refused.
        """
        by_key = self.outbox.runs()
        noted, self.runs = set(by_key.values()), {}
        found = runs_of_sweep(client, self.experiment_id, self.sweep_id)
        for run in sorted(found, key=lambda run: (is_deleted(run), run.info.run_id not in noted)):
            key = run.data.tags[KEY_TAG]  # first those that were written to
            if self.runs.setdefault(key, run.info.run_id) != run.info.run_id:
                if not is_deleted(run):
                    client.delete_run(run.info.run_id)
                continue
            self.outbox.note_run(key, run.info.run_id)
            self.ends[key] = (run.data.tags.get("state"), run.info.status)
        self.lost = by_key.keys() - self.runs.keys()
        self.refused |= {key: f"its run {by_key[key]} is gone" for key in self.lost}

    def _write(self, client: MlflowClient, update: RunUpdate) -> None:
        from mlflow.entities import Metric, Param, RunTag

        if self._says_nothing_new(update):
            return
        run_id = self.runs.get(update.key) or self._create(client, update)
        metrics = [Metric(name, value, at, step) for name, value, step, at in update.metrics]
        params = [Param(name, value) for name, value in update.params.items()]
        tags = [RunTag(name, value) for name, value in update.tags.items()]
        client.log_batch(run_id, metrics[:BATCH], params, tags, synchronous=True)
        for start in range(BATCH, len(metrics), BATCH):
            client.log_batch(run_id, metrics[start : start + BATCH], synchronous=True)
        if update.status == "RUNNING":
            client.update_run(run_id, "RUNNING")
        elif update.status:
            client.set_terminated(run_id, update.status)
        if left := [path for path in update.artifacts if not self._takes_file(client, update.key, run_id, path)]:
            self.outbox.put(RunUpdate(update.key, artifacts=left))
        state, status = self.ends.get(update.key, (None, None))
        self.ends[update.key] = (update.tags.get("state", state), update.status or status)

    def _takes_file(self, client: MlflowClient, key: str, run_id: str, path: str) -> bool:
        """Copy a file; False if the place for it cannot be written from here, until the next session."""
        from requests.exceptions import RequestException

        if not Path(path).is_file():
            logging.getLogger(__name__).warning("MLflow has no copy of %s: it was moved since it was told", path)
            return True
        try:
            client.log_artifact(run_id, path)
        except RequestException:  # the server is away
            raise
        except OSError as error:
            self.unwritten[key] = f"{error.filename or path}: {error.strerror}"
        return key not in self.unwritten

    def _says_nothing_new(self, update: RunUpdate) -> bool:
        """Whether it only ends a run that was never begun, or that has ended so already."""
        ends = update.status not in (None, "RUNNING")
        only_ends = ends and not (update.name or update.params or update.metrics or update.artifacts)
        known = update.key in self.runs
        return only_ends and (not known or self.ends[update.key] == (update.tags.get("state"), update.status))

    def _create(self, client: MlflowClient, update: RunUpdate) -> str:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

        tags: dict[str, Any] = {"sweep_id": self.sweep_id, KEY_TAG: update.key, **update.tags}
        if update.parent:
            if update.parent not in self.runs:
                raise MlflowException(f"its parent {update.parent} is not there", RESOURCE_DOES_NOT_EXIST)
            tags["mlflow.parentRunId"] = self.runs[update.parent]
        run = client.create_run(self.experiment_id, tags=tags, run_name=update.name)
        self.runs[update.key] = run.info.run_id
        self.outbox.note_run(update.key, run.info.run_id)
        return run.info.run_id
