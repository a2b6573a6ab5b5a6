"""`python -m sweeps.ui` with an address that is no MLflow it can read: one line that says why, as for a sweep."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sweeps.engine.browsing import main
from tests.http_server import HttpServer


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def _refused(uri: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of the command, which ends with 2."""
    with pytest.raises(SystemExit) as ended:
        main("help", ["--tracking-uri", uri])
    out, error = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert len(error.splitlines()) == 1, error
    return error


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"You are not authenticated", "MLFLOW_TRACKING_USERNAME"),
        (403, b"no", "the server forbids this (HTTP 403)"),
        (403, b"Invalid Host header", "--allowed-hosts"),
        (200, b"<html>hello</html>", "is not MLflow; correct the address"),
        (500, b"broken", "the server does not do what it is asked"),
    ],
)
def test_a_server_that_refuses_or_is_no_mlflow_is_one_line(
    status: int, body: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = HttpServer(status, body)
    error = _refused(f"http://{server.address}", capsys)
    server.end()
    assert error.startswith(f"error: --tracking-uri http://{server.address}: ")
    assert said in error


def test_the_database_of_another_mlflow_is_named_with_the_command_that_upgrades_it(
    tmp_path: Path, database: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(database)
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    error = _refused(f"sqlite:///{path}", capsys)
    assert "its schema is 0123456789ab" in error
    assert "mlflow db upgrade" in error
