"""A real MLflow server that is asked by a host name which it was not started for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.mlflow_server import Server
from tests.sweep_process import Begin


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, "--allowed-hosts", "localhost:*")
    made.start()
    yield made
    made.kill()


def test_a_name_that_the_server_does_not_allow_is_refused_before_anything_starts_and_the_allowed_one_passes(
    server: Server, begin: Begin, tmp_path: Path
) -> None:
    smoke = ["--scale", "smoke", "--normal-class", "0", "--configs", "1", "--epochs", "1"]
    other = begin(tmp_path, *smoke, uri=f"http://127.0.0.1:{server.port}")
    assert other.wait() == 2
    assert other.err == (
        f"error: --tracking-uri {other.uri}: the server refuses this host name (HTTP 403); start it with "
        f"`mlflow server --allowed-hosts 127.0.0.1:{server.port}`\n"
    )
    assert not (tmp_path / "runs").exists()
    allowed = begin(tmp_path, *smoke, uri=f"http://localhost:{server.port}")
    assert allowed.wait() == 0, f"{allowed.out}\n{allowed.err}"
    assert allowed.err == ""
