"""A tracking server is asked whether it answers in the way that MLflow's client goes: through proxies, too."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from adcore.errors import UserError
from sweeps.engine.tracking.server import check_server
from sweeps.engine.tracking.store import check_tracking_uri
from tests.http_server import HttpServer

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *map(str.lower, VARIABLES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def status() -> int:
    return 200


@pytest.fixture
def server(status: int) -> Iterator[HttpServer]:
    made = HttpServer(status)
    yield made
    made.end()


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_any_answer_of_a_server_will_do(server: HttpServer) -> None:
    check_tracking_uri(f"http://{server.address}/mlflow/")
    assert server.asked == ["/mlflow/health"]


def test_a_server_that_only_a_proxy_can_reach_is_asked_through_it(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{server.address}")
    check_tracking_uri("http://tracking.invalid:5000")
    assert server.asked == ["http://tracking.invalid:5000/health"]


def test_no_proxy_is_asked_for_a_host_that_needs_none(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    check_tracking_uri(f"http://{server.address}")
    assert server.asked == ["/health"]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_reaches_nothing_is_named(
    server: HttpServer, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{server.address}")
    with pytest.raises(UserError) as refused:
        check_tracking_uri("http://tracking.invalid:5000")
    assert f"nothing answers at tracking.invalid:5000 through the proxy {server.address}" in str(refused.value)
    assert str(status) in str(refused.value)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_dead_proxy_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv(variable, f"http://{proxy}")
        with pytest.raises(UserError, match=f"through the proxy {proxy} ") as refused:
            check_server("https://tracking.invalid", "tracking.invalid:443")
    assert "\n" not in str(refused.value)


def test_a_server_that_takes_the_call_and_says_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.engine.tracking.server.ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=f"nothing answers at {address} \\(timed out\\)"):
            check_server(f"http://{address}", address)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_name_that_no_host_can_have_is_refused(host: str) -> None:
    with pytest.raises(UserError, match=f"nothing answers at {host}:5000"):
        check_tracking_uri(f"http://{host}:5000")


def test_the_password_of_a_proxy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    with pytest.raises(UserError, match=r"through the proxy 127\.0\.0\.1:9 ") as refused:
        check_tracking_uri("http://tracking.invalid:5000")
    assert "secret" not in str(refused.value)
