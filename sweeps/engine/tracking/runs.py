"""The runs that a sweep has in MLflow: found by its id, and written to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adcore.errors import UserError
from sweeps.engine.planning.labels import count_of
from sweeps.engine.storage.errors import one_line
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.registry import deliver_model
from sweeps.engine.tracking.server import PERMANENT, may_pass
from sweeps.engine.tracking.store import connect, is_gone
from sweeps.engine.tracking.view import VIEW_TAG, view_key, view_state

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

__all__ = ["KEY_TAG", "RunWriter", "require_known_runs"]

#: Tag that identifies a run: its key within the sweep whose id is in the tag sweep_id.
KEY_TAG = "sweep_key"
#: Most metrics in one batch, and most characters of a data set's digest: MLflow's limits.
BATCH, DIGEST = 1000, 36


def _runs_of_sweep(client: MlflowClient, experiment_id: str, sweep_id: str) -> list[Run]:
    """All runs of a sweep in an experiment, deleted ones as well."""
    from mlflow.entities import ViewType

    runs, token = [], None
    while True:
        page = client.search_runs([experiment_id], f"tags.sweep_id = '{sweep_id}'", ViewType.ALL, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _is_deleted(run: Run) -> bool:
    """Whether it was deleted; it can still be restored."""
    return bool(run.info.lifecycle_stage == "deleted")


def require_known_runs(uri: str, experiment: str, sweep_id: str, outbox: Outbox) -> None:
    """Raises UserError if runs that the outbox knows are not at `uri`: they are in another MLflow, or gone for good.

    Nothing is created there before that is known. Raises what `connect` raises.
    """
    missing = known_ids = set(outbox.runs().values())
    if not known_ids or not is_gone(uri):
        client, experiment_id = connect(uri, experiment)
        missing = known_ids - {run.info.run_id for run in _runs_of_sweep(client, experiment_id, sweep_id)}
    if missing:
        raise UserError(
            f"--tracking-uri {uri}: lacks {len(missing)} of this sweep's {count_of(len(known_ids), 'run')}; give the "
            f"address of the MLflow that has them, or move {outbox.path} away: then this one gets only later updates"
        )


class RunWriter:
    """Writes to the sweep's runs by their keys. For use by one thread.

    refusals: why MLflow does not take the updates of a run; lost_keys: runs that no longer exist; both by key.
    copy_errors: why a file, or a model's folder, could not be copied, by path.
    """

    def __init__(self, sweep_id: str, outbox: Outbox) -> None:
        self.sweep_id, self.outbox = sweep_id, outbox
        self.refusals: dict[str, str] = {}
        self.copy_errors: dict[str, str] = {}
        self.lost_keys: set[str] = set()
        self.runs: dict[str, str] = {}  # run id by key
        self.ends: dict[str, tuple[str | None, str | None]] = {}  # tag `state` and status by key
        self.params: dict[str, set[str]] = {}  # names by key, of runs of earlier sessions

    def unfinished_run_ids(self) -> list[str]:
        """The ids of runs that have not ended."""
        ended = {key for key, (_, status) in self.ends.items() if status not in (None, "RUNNING")}
        return [run_id for key, run_id in self.runs.items() if key not in ended]

    def find(self, client: MlflowClient, experiment_id: str) -> None:
        """Find the sweep's runs; of two with one key, created by a request that was given up too early, delete one.

        A run that was deleted or no longer exists is not created again: its updates are refused.
        """
        by_key = self.outbox.runs()
        noted_ids, self.runs = set(by_key.values()), {}
        sweep_runs = _runs_of_sweep(client, experiment_id, self.sweep_id)
        for run in sorted(sweep_runs, key=lambda run: (_is_deleted(run), run.info.run_id not in noted_ids)):
            key = run.data.tags[KEY_TAG]  # first those that were written to
            if self.runs.setdefault(key, run.info.run_id) != run.info.run_id:
                if not _is_deleted(run):
                    client.delete_run(run.info.run_id)
                continue
            self.ends[key] = (run.data.tags.get("state"), run.info.status)
            self.params[key] = set(run.data.params)
        for key, run_id in self.runs.items():  # last: the outbox may be gone, and then these runs are to be ended
            self.outbox.note_run(key, run_id)
        self.lost_keys = by_key.keys() - self.runs.keys()
        self.refusals |= {key: f"its run {by_key[key]} is gone" for key in self.lost_keys}

    def try_write(self, client: MlflowClient, update: RunUpdate, experiment_id: str) -> bool:
        """Write an update; False if MLflow refuses its run, or all of its files, until the next session."""
        if update.has_files_alone and update.paths and self.copy_errors.keys() >= update.paths:
            return False
        if update.key not in self.refusals:
            try:
                self._write(client, update, experiment_id)
            except Exception as error:
                if getattr(error, "error_code", None) not in PERMANENT:
                    raise
                self.refusals[update.key] = str(error)
        return update.key not in self.refusals

    def _write(self, client: MlflowClient, update: RunUpdate, experiment_id: str) -> None:
        if self._says_nothing_new(update):
            return
        is_new = update.key not in self.runs
        run_id = self._create(client, update, experiment_id) if is_new else self.runs[update.key]
        self._log(client, update, run_id, tags={} if is_new else update.tags)
        if update.columns:
            key = view_key(update.name or self.sweep_id, self.sweep_id)
            client.set_experiment_tag(
                experiment_id, f"{VIEW_TAG}{key}", view_state(self.sweep_id, update.columns, update.metric or "auroc")
            )
        state, status = self.ends.get(update.key, (None, None))
        if update.status == "RUNNING":
            if not is_new:
                client.update_run(run_id, "RUNNING")
        elif update.status and update.status != status:  # else its end would be moved
            client.set_terminated(run_id, update.status)
        uncopied = [path for path in update.artifacts if not self._try_copy(client.log_artifact, run_id, path)]
        model = update.model
        if model and self._try_copy(partial(deliver_model, client, model=model), run_id, model.folder):
            model = None
        if uncopied or model:
            self.outbox.put(RunUpdate(update.key, artifacts=uncopied, model=model))
        self.ends[update.key] = (update.tags.get("state", state), update.status or status)

    def _log(self, client: MlflowClient, update: RunUpdate, run_id: str, *, tags: Mapping[str, str]) -> None:
        """Write metrics, parameters, tags and inputs; a parameter that the run has stays: MLflow refuses another."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        metrics = [Metric(name, value, at, step) for name, value, step, at in update.metrics]
        known_params = self.params.get(update.key, ())
        params = [Param(name, value) for name, value in update.params.items() if name not in known_params]
        if metrics or params or tags:
            run_tags = [RunTag(name, value) for name, value in tags.items()]
            client.log_batch(run_id, metrics[:BATCH], params, run_tags, synchronous=True)
        for start in range(BATCH, len(metrics), BATCH):
            client.log_batch(run_id, metrics[start : start + BATCH], synchronous=True)
        inputs = [
            DatasetInput(
                Dataset(
                    data_input["name"], data_input["digest"][:DIGEST], "name", json.dumps({"name": data_input["name"]})
                ),
                [InputTag("mlflow.data.context", data_input["part"])],
            )
            for data_input in update.inputs
        ]
        if inputs:
            client.log_inputs(run_id, inputs)

    def _try_copy(self, copy: Callable[[str, str], object], run_id: str, path: str) -> bool:
        """Copy a file or a model's folder; False if that cannot be done from here, until the next session."""
        if not Path(path).exists():
            logging.getLogger(__name__).warning("MLflow has no copy of %s: it was moved before it was copied", path)
            return True
        if path not in self.copy_errors:
            try:
                copy(run_id, path)
            except Exception as error:  # also of the clients of object stores, which MLflow calls for its files
                if may_pass(error):
                    raise
                self.copy_errors[path] = _in_words(error)
        return path not in self.copy_errors

    def _says_nothing_new(self, update: RunUpdate) -> bool:
        """Whether it only ends a run that was never started, or that has already ended in this way."""
        ends = update.status not in (None, "RUNNING")
        only_ends = ends and not (update.name or update.params or update.metrics or update.artifacts or update.model)
        has_run = update.key in self.runs
        return only_ends and (not has_run or self.ends[update.key] == (update.tags.get("state"), update.status))

    def _create(self, client: MlflowClient, update: RunUpdate, experiment_id: str) -> str:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

        tags: dict[str, Any] = {"sweep_id": self.sweep_id, KEY_TAG: update.key, **update.tags}
        if update.parent:
            if update.parent not in self.runs:
                raise MlflowException(f"its parent {update.parent} is missing", RESOURCE_DOES_NOT_EXIST)
            tags["mlflow.parentRunId"] = self.runs[update.parent]
        run = client.create_run(experiment_id, tags=tags, run_name=update.name)
        self.runs[update.key] = run.info.run_id
        self.outbox.note_run(update.key, run.info.run_id)
        return run.info.run_id


def _in_words(error: Exception) -> str:
    """An error of a copy, with the file in the way if there is one."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return one_line(error)
