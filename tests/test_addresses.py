"""Addresses of MLflow and of a cluster: probed before any work; one that does not answer is named."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.http_server import HttpServer
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that is taken, so that nobody else gets it, and that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("flag", ["--tracking-uri", "--address"])
def test_a_dead_address_is_named_before_a_client_asks_it_for_minutes(
    flag: str, dead_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{dead_port}"
    started = time.monotonic()
    line = refused([flag, f"http://{address}" if flag == "--tracking-uri" else address], capsys)
    assert time.monotonic() - started < 60, "MLflow's and Ray's own clients ask for minutes"
    assert flag in line
    assert f"nothing answers at {address}" in line


def test_a_cluster_that_the_environment_names_is_probed(
    dead_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{dead_port}")
    assert f"nothing answers at 127.0.0.1:{dead_port}" in refused(["--address", "auto"], capsys)


def test_an_address_in_the_environment_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "here")
    assert "RAY_ADDRESS here" in refused(["--address", "auto"], capsys)


#: What MLflow answers to the calls of the check.
MLFLOW = b'{"experiment": {"name": "gan_loss_weights"}, "experiments": []}'


def test_a_server_that_answers_passes_and_the_next_check_is_made(
    dead_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    server, address = HttpServer(200, MLFLOW), f"127.0.0.1:{dead_port}"
    assert "--address" in refused(["--tracking-uri", f"http://{server.address}", "--address", address], capsys)
    server.end()
