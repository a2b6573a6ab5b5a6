"""Writes runs to MLflow from a background thread, one batch per run touched, so that no trial waits for it."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.engine.mlflow_store import artifact_location

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

__all__ = ["MlflowWriter", "RunUpdate"]

#: Tag by which a run is found again: the sweep's id and the run's key within it.
KEY_TAG = "sweep_key"
#: MLflow's codes for what no repetition mends: a run that somebody deleted, a value that it does not take.
PERMANENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS")
#: Most metrics in one batch (MLflow's limit).
BATCH = 1000


@dataclasses.dataclass
class RunUpdate:
    """What is new about a run, named by its key within the sweep. metrics: (name, value, step, milliseconds)."""

    key: str
    parent: str | None = None
    name: str | None = None
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = dataclasses.field(default_factory=list)
    artifacts: list[tuple[Path, str]] = dataclasses.field(default_factory=list)
    status: str | None = None

    def merge(self, later: RunUpdate) -> None:
        """Take in a later update of the same run."""
        self.parent, self.name = self.parent or later.parent, self.name or later.name
        self.tags |= later.tags
        self.params |= later.params
        self.metrics += later.metrics
        self.artifacts += later.artifacts
        self.status = later.status or self.status


class MlflowWriter:
    """A queue of updates and the thread that delivers them. Runs that the sweep left earlier are gone on with.

    An update that cannot be delivered stays in the queue and is tried again; a sweep never waits for one.
    """

    def __init__(self, uri: str, experiment: str, sweep_id: str, *, period: float = 3.0) -> None:
        self.uri, self.experiment, self.sweep_id, self.period = uri, experiment, sweep_id, period
        self.pending: dict[str, RunUpdate] = {}
        self.lock, self.wake = threading.Lock(), threading.Event()
        self.closing = False
        self.error: Exception | None = None  # of the last delivery, None if it went well
        self.refused: list[str] = []  # what MLflow will not take however often it is told
        self.client: MlflowClient | None = None
        self.experiment_id = ""
        self.runs: dict[str, str] = {}  # run id by key
        self.states: dict[str, str] = {}  # tag `state` by key
        self.logged: dict[str, dict[str, set[int]]] = {}  # steps by metric, of runs found again, by run id
        self.thread = threading.Thread(target=self._deliver_until_closed, name="mlflow-writer", daemon=True)
        self.thread.start()

    def submit(self, update: RunUpdate) -> None:
        """Queue an update; returns at once."""
        with self.lock:
            self._queue(update)

    def close(self, *, patience: float = 60.0) -> bool:
        """Deliver what is left; False if that fails or takes more than `patience` seconds."""
        self.closing = True
        self.wake.set()
        self.thread.join(patience)
        return not (self.thread.is_alive() or self.pending or self.refused)

    @property
    def reason(self) -> str:
        """Why not everything was delivered."""
        return "; ".join(self.refused) or str(self.error or "it is too slow")

    def _queue(self, update: RunUpdate) -> None:
        if update.key in self.pending:
            self.pending[update.key].merge(update)
        else:
            self.pending[update.key] = update

    def _deliver_until_closed(self) -> None:
        deadline: float | None = None
        while True:
            closing = self.closing
            try:
                self._deliver()
                self.error = None
            except Exception as error:
                self.error = error
            if closing and deadline is None:
                deadline = time.monotonic() + 30
            if closing and (not self.pending or time.monotonic() > (deadline or 0)):
                return
            self.wake.wait(1.0 if closing else self.period)

    def _deliver(self) -> None:
        client = self._connect()
        while True:
            with self.lock:
                if not self.pending:
                    return
                key = next(iter(self.pending))  # parents were queued before their children
                update = self.pending.pop(key)
            try:
                self._write(client, update)
            except Exception as error:
                if getattr(error, "error_code", None) in PERMANENT:
                    self.refused.append(f"{key}: {error}")
                    continue
                with self.lock:  # back to the front, what came in meanwhile behind it
                    rest, self.pending = self.pending, {key: update}
                    for later in rest.values():
                        self._queue(later)
                raise

    def _connect(self) -> MlflowClient:
        if self.client is None:
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
            logging.getLogger("urllib3").setLevel(logging.ERROR)  # each retry would be a line in the display
            from mlflow.tracking import MlflowClient

            client = MlflowClient(self.uri)
            found = client.get_experiment_by_name(self.experiment)
            if found and found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            location = artifact_location(self.uri, self.experiment)
            self.experiment_id = found.experiment_id if found else client.create_experiment(self.experiment, location)
            for run in self._runs_of_before(client):
                key = run.data.tags[KEY_TAG]
                self.runs[key], self.states[key] = run.info.run_id, run.data.tags.get("state", "")
                self.logged[run.info.run_id] = {}
            self.client = client
        return self.client

    def _runs_of_before(self, client: MlflowClient) -> list[Run]:
        runs, token = [], None
        while True:
            page = client.search_runs([self.experiment_id], f"tags.sweep_id = '{self.sweep_id}'", page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _write(self, client: MlflowClient, update: RunUpdate) -> None:
        from mlflow.entities import Metric, Param, RunTag

        if self._says_nothing_new(update):
            return
        run_id = self.runs.get(update.key) or self._create(client, update)
        metrics = [Metric(name, value, at, step) for name, value, step, at in update.metrics]
        metrics = [metric for metric in metrics if not self._is_logged(client, run_id, metric)]
        params = [Param(name, value) for name, value in update.params.items()]
        tags = [RunTag(name, value) for name, value in update.tags.items()]
        client.log_batch(run_id, metrics[:BATCH], params, tags)
        for start in range(BATCH, len(metrics), BATCH):
            client.log_batch(run_id, metrics[start : start + BATCH])
        for path, folder in update.artifacts:
            client.log_artifact(run_id, str(path), folder or None)
        if update.status == "RUNNING":
            client.update_run(run_id, "RUNNING")
        elif update.status:
            client.set_terminated(run_id, update.status)
        self.states[update.key] = update.tags.get("state", self.states.get(update.key, ""))

    def _says_nothing_new(self, update: RunUpdate) -> bool:
        """Whether it only ends a run that was never begun, or that has ended so already."""
        ends = update.status not in (None, "RUNNING")
        only_ends = ends and not (update.name or update.params or update.metrics or update.artifacts)
        known = update.key in self.runs
        return only_ends and (not known or self.states[update.key] == update.tags.get("state"))

    def _create(self, client: MlflowClient, update: RunUpdate) -> str:
        tags: dict[str, Any] = {"sweep_id": self.sweep_id, KEY_TAG: update.key, **update.tags}
        if update.parent:
            tags["mlflow.parentRunId"] = self.runs[update.parent]
        run = client.create_run(self.experiment_id, tags=tags, run_name=update.name)
        self.runs[update.key] = run.info.run_id
        return run.info.run_id

    def _is_logged(self, client: MlflowClient, run_id: str, metric: Metric) -> bool:
        """Whether a run of before the resume has this metric at this step: a repeated report is not written again."""
        if run_id not in self.logged:
            return False
        steps = self.logged[run_id]
        if metric.key not in steps:
            steps[metric.key] = {old.step for old in client.get_metric_history(run_id, metric.key)}
        return metric.step in steps[metric.key]
