"""A tracking server is called before anything starts, and what refuses a sweep's updates is refused with the reason."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.tracking import api
from sweeps.engine.tracking.checks import check_tracking
from tests.http_server import HttpServer

OURS = b'{"experiment": {"name": "gan_loss_weights"}, "experiments": []}'
#: By name: the status and the body of every answer, and what the line says.
REFUSED = {
    "a page": (200, b"<html>hello</html>", "is not MLflow; correct the address"),
    "nothing": (200, b"", "is not MLflow; correct the address"),
    "another program's JSON": (200, b'{"a": 1}', "is not MLflow; correct the address"),
    "no such page": (404, b"<html>gone</html>", "is not MLflow; correct the address"),
    "another host": (
        403,
        b"Invalid Host header - possible DNS rebinding",
        "--allowed-hosts 127.0.0.1:",
    ),
    "no password": (401, b"You are not authenticated", "MLFLOW_TRACKING_USERNAME"),
    "forbidden": (403, b"no", "the server forbids this (HTTP 403)"),
    "broken": (500, b"no", "the server does not do what it is asked"),
}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", api.TIMEOUT):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def check(uri: str, *, resume: str | None = None) -> None:
    check_tracking(SweepSettings(tracking_uri=uri, resume=resume), "gan_loss_weights", is_named=resume is None)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_server_that_would_refuse_a_sweeps_updates_is_refused_with_the_reason(kind: str) -> None:
    status, body, reason = REFUSED[kind]
    server = HttpServer(status, body)
    with pytest.raises(UserError) as refused:
        check(f"http://{server.address}")
    server.end()
    assert str(refused.value).startswith(f"--tracking-uri http://{server.address}: ")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("missing", "version", "said"),
    [
        ("/experiments/search", b"1.27.0", "1.27.0"),
        ("/runs/log-inputs", b"2.3.2", "2.3.2"),
        ("/runs/log-inputs", b"<html>", "it does not say which version it is"),
    ],
)
def test_a_server_that_lacks_a_call_that_a_sweep_needs_is_too_old(missing: str, version: bytes, said: str) -> None:
    server = HttpServer(200, OURS)
    check(f"http://{server.address}")
    assert any(path.endswith(missing) for path in server.asked)
    server.by_path = {missing: (404, b"<html>no such page</html>"), "/version": (200, version)}
    with pytest.raises(UserError, match="this MLflow server is too old") as refused:
        check(f"http://{server.address}")
    server.end()
    assert f"too old ({said}); expected 2.4 or later" in str(refused.value)


def test_a_server_that_takes_inputs_says_that_it_has_no_such_run_and_is_taken() -> None:
    no_run = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}'
    server = HttpServer(200, OURS, {"/runs/log-inputs": (404, no_run)})
    check(f"http://{server.address}")
    server.end()


def test_a_resumed_sweep_waits_for_its_own_server(capsys: pytest.CaptureFixture[str]) -> None:
    server = HttpServer(403, b"Invalid Host header")
    check(f"http://{server.address}", resume="mine")
    server.end()
    assert "--allowed-hosts" in capsys.readouterr().err


def test_a_server_that_stops_answering_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "SECONDS", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(UserError):
            api.check_api(f"http://127.0.0.1:{silent.getsockname()[1]}", "gan_loss_weights")
    assert time.monotonic() - started < 30
    assert os.environ[api.TIMEOUT] == "60", "the sweep itself waits as long as ever"


def test_the_tables_file_is_not_called(tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path / 'mlflow.db'}")
