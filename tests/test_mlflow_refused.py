"""A file or a model that MLflow refuses: said and kept for the next session, while everything else is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from sweeps.engine.planning.settings import LEVELS
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.keys import SWEEP
from sweeps.engine.tracking.outbox import ModelFolder, Outbox, RunUpdate
from tests.http_server import HttpServer
from tests.mlflow_parts import CLASSES, EXPERIMENT, runs_of, writer_of
from tests.sweep_parts import small_plan
from tests.sweep_process import poll


@pytest.fixture
def files() -> Iterator[HttpServer]:
    """A server that takes files."""
    server = HttpServer(200, b"{}")
    yield server
    server.end()


@pytest.fixture
def uri(tmp_path: Path, database: bytes, files: HttpServer) -> str:
    """A database whose experiment has its files on that server."""
    (tmp_path / "mlflow.db").write_bytes(database)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    MlflowClient(uri).create_experiment(EXPERIMENT, f"http://{files.address}/files")
    return uri


def _put(outbox: Outbox, folder: Path, name: str, value: float) -> None:
    """Tell of a metric of the sweep, and then of a file."""
    (folder / name).write_text("a,b")
    outbox.put(RunUpdate(SWEEP, name="s", tags={"level": LEVELS[0]}, metrics=[(name[:-4], value, 1, 1)]))
    outbox.put(RunUpdate(SWEEP, artifacts=[str(folder / name)]))


@pytest.mark.parametrize("status", [403, 413])
def test_a_file_that_a_server_refuses_holds_nothing_else_up_and_comes_with_the_next_session(
    status: int, uri: str, sweep_id: str, outbox: Outbox, files: HttpServer, tmp_path: Path
) -> None:
    files.by_path = {"/large.csv": (status, b"no")}
    writer = writer_of(uri, sweep_id, outbox)
    _put(outbox, tmp_path, "large.csv", 0.1)
    poll(lambda: writer.run_writer.copy_errors, "the refusal")
    _put(outbox, tmp_path, "small.csv", 0.2)
    assert not writer.close(patience=5)
    assert writer.reason.startswith("large.csv: ")
    assert str(status) in writer.reason
    assert len(outbox) == 1
    assert runs_of(uri, sweep_id).by_key[SWEEP].data.metrics == {"large": 0.1, "small": 0.2}
    taken = [path.rpartition("/")[2] for path in files.asked]
    assert (taken.count("large.csv"), taken.count("small.csv")) == (1, 1), "neither is sent again"

    files.by_path = {}
    assert writer_of(uri, sweep_id, outbox).close()
    assert [path.rpartition("/")[2] for path in files.asked].count("large.csv") == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_file_that_a_server_takes_later_is_sent_again_in_the_same_session(
    status: int, uri: str, sweep_id: str, outbox: Outbox, files: HttpServer, tmp_path: Path
) -> None:
    files.by_path = {"/table.csv": (status, b"later")}
    writer = writer_of(uri, sweep_id, outbox)
    _put(outbox, tmp_path, "table.csv", 0.1)
    poll(lambda: writer.error, "the first try")
    files.by_path = {}
    assert writer.close()


def test_a_model_that_the_registry_refuses_leaves_the_sweeps_own_run_whole(
    uri: str, sweep_id: str, outbox: Outbox, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "results.csv").write_text("a,b")
    tracking = Tracking(outbox, small_plan(CLASSES, epochs=1, configs=1), "s")
    writer = writer_of(uri, sweep_id, outbox)
    tracking.open_sweep("final")
    tracking.register_model(2, ModelFolder(str(tmp_path / "model"), "no/such:name", {"configuration": "2"}))
    poll(lambda: writer.run_writer.copy_errors, "the refusal")
    tracking.close_sweep("complete", {"test_auroc_mean": 0.9}, [tmp_path / "results.csv"])
    tracking.add_files([tmp_path / "results.csv"])
    assert not writer.close(patience=5)
    assert "no/such:name" in writer.reason
    assert len(outbox) == 1, "the model alone waits"
    run = runs_of(uri, sweep_id).by_key[SWEEP]
    assert (run.info.status, run.data.tags["state"]) == ("FINISHED", "complete")
    assert run.data.metrics["test_auroc_mean"] == 0.9
