"""An MLflow server as a team runs one: on PostgreSQL, for clients that call it by a host name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.mlflow_server import Server
from tests.e2e.postgres import Postgres
from tests.sweep_process import Begin, MlflowRuns

SMOKE = ["--scale", "smoke", "--normal-class", "0", "--configs", "1", "--epochs", "1"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    made = Postgres()
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture
def server(postgres: Postgres, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, "--allowed-hosts", "localhost:*", backend=postgres.uri)
    made.start()
    yield made
    made.kill()


def test_a_name_that_the_server_does_not_allow_is_refused_and_by_the_allowed_one_all_runs_arrive_in_postgresql(
    server: Server, begin: Begin, tmp_path: Path
) -> None:
    other = begin(tmp_path, *SMOKE, uri=f"http://127.0.0.1:{server.port}")
    assert other.wait() == 2
    assert other.err == (
        f"error: --tracking-uri {other.uri}: the server refuses this host name (HTTP 403); start it with "
        f"`mlflow server --allowed-hosts 127.0.0.1:{server.port}`\n"
    )
    assert not (tmp_path / "runs").exists()

    allowed = begin(tmp_path, *SMOKE, "--name", "k", uri=f"http://localhost:{server.port}")
    assert allowed.wait() == 0, f"{allowed.out}\n{allowed.err}"
    assert allowed.err == ""
    server.kill()
    runs = MlflowRuns(server.backend)  # the database itself, not through the server
    runs.assert_whole()
    assert runs.level("sweep")
    assert runs.level("class", "search")
    assert runs.level("class", "confirm")
