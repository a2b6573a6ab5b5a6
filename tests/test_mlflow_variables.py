"""What MLflow reads in the environment: nothing there changes what a write means, and what is not used is said."""

from __future__ import annotations

import uuid
from pathlib import Path

import mlflow.environment_variables
import pytest

from sweeps.engine.machine.locations import database_uri
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.store import make_database
from sweeps.engine.tracking.variables import FIXED, FIXED_IN_PROCESS, UNUSED, ignored_variables, set_variables
from sweeps.engine.tracking.writer import MlflowWriter
from tests.sweep_process import MlflowRuns, poll

SERVER, FILE = "http://mlflow:5000", "sqlite:////w/mlflow.db"


def test_what_was_put_while_the_database_was_away_arrives_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    monkeypatch.setattr("sweeps.engine.tracking.store.set_variables", lambda uri: None)  # the call itself is to say so
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    path, sweep_id, outbox = tmp_path / "mlflow.db", uuid.uuid4().hex, Outbox(tmp_path / "outbox.db")
    make_database(path)
    writer = MlflowWriter(database_uri(path), "test", sweep_id, outbox, period=0.05)
    tags = {"level": "sweep", "stage": "search", "state": "complete"}
    outbox.put(RunUpdate("sweep", name="s", tags=tags, status="FINISHED"))
    poll(lambda: "sweep" in writer.run_writer.ends, "the run")
    away = path.rename(tmp_path / "away.db")
    for step in range(1, 6):
        outbox.put(RunUpdate("sweep", metrics=[("m", step / 10, step, step)]))
    poll(lambda: writer.error or not len(outbox), "a delivery")
    away.replace(path)
    assert writer.close()
    found = MlflowRuns(database_uri(path), "test", sweep_id)
    assert found.history("sweep", "m") == [(step, step / 10) for step in range(1, 6)]
    found.assert_whole()


@pytest.mark.parametrize(
    ("uri", "given", "expected"),
    [
        (SERVER, {"MLFLOW_ENABLE_ASYNC_LOGGING": "true"}, {"MLFLOW_ENABLE_ASYNC_LOGGING": "false"}),
        (SERVER, {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7"}, {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}),
        (SERVER, {"MLFLOW_WORKSPACE": "team"}, {"MLFLOW_WORKSPACE": "team"}),
        (FILE, {"MLFLOW_WORKSPACE": "team"}, {"MLFLOW_WORKSPACE": None}),
        (FILE, {"MLFLOW_ENABLE_WORKSPACES": "true"}, {"MLFLOW_ENABLE_WORKSPACES": "false"}),
        (FILE, {"MLFLOW_READ_REPLICA_BACKEND_STORE_URI": "x"}, {"MLFLOW_READ_REPLICA_BACKEND_STORE_URI": None}),
        (SERVER, {"MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}, {"MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}),
        (SERVER, {}, {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_DISABLE_TELEMETRY": "true"}),
    ],
)
def test_what_would_change_a_write_is_set_and_the_rest_is_the_users(
    uri: str, given: dict[str, str], expected: dict[str, str | None]
) -> None:
    set_variables(uri, given)
    assert {name: given.get(name) for name in expected} == expected


def test_what_is_set_and_does_not_count_is_said_in_a_line() -> None:
    given = {"MLFLOW_TRACKING_URI": SERVER, "MLFLOW_EXPERIMENT_NAME": "mine", "MLFLOW_ENABLE_ASYNC_LOGGING": "True"}
    line = ignored_variables(FILE, is_named=False, environment=given)
    assert line.startswith("set, but not used: MLFLOW_TRACKING_URI (--tracking-uri says where runs go), ")
    assert "MLFLOW_EXPERIMENT_NAME" in line
    assert "MLFLOW_ENABLE_ASYNC_LOGGING (a write is done when it returns)" in line
    assert "\n" not in line


def test_nothing_is_said_of_what_makes_no_difference() -> None:
    same = {"MLFLOW_TRACKING_URI": SERVER, "MLFLOW_ENABLE_ASYNC_LOGGING": "FALSE", "MLFLOW_RUN_ID": ""}
    assert ignored_variables(SERVER, is_named=False, environment=same) == ""
    assert ignored_variables(FILE, is_named=True, environment=same) == "", "who names an address has chosen"
    assert ignored_variables(SERVER, is_named=False, environment={"MLFLOW_WORKSPACE": "team"}) == ""
    assert ignored_variables(FILE, is_named=False, environment={"MLFLOW_TRACKING_PASSWORD": "secret"}) == ""


def test_every_name_is_one_of_mlflows() -> None:
    known = {name for name in vars(mlflow.environment_variables) if name.startswith("MLFLOW_")}
    assert len(known) > 100
    assert {*FIXED, *FIXED_IN_PROCESS, *UNUSED} <= known
