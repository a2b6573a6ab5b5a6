"""`python -m sweeps.ui`: a link to each sweep's table, and `mlflow ui` for a database on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from sweeps.engine import browsing
from sweeps.engine.machine.locations import database_uri
from sweeps.engine.tracking.view import VIEW_TAG, view_key, view_link, view_state
from tests.http_server import HttpServer
from tests.loopback import free_port
from tests.sweep_process import ROOT

pytestmark = pytest.mark.usefixtures("elsewhere")
PORT = str(free_port())
STARTS = "MLflow starts; the links follow once it answers"

Serving = Callable[..., subprocess.Popen[str]]


def ended(*arguments: str) -> int:
    """The command's exit code."""
    with pytest.raises(SystemExit) as raised:
        browsing.main("help", arguments)
    return int(raised.value.code or 0)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Path]]:
    """What would be run, and in which folder; what answers at the port says "up" first, and ends with 3."""
    called: list[tuple[list[str], Path]] = []

    def serve(command: list[str], folder: Path, beside: Callable[[], object]) -> int:
        called.append((command, folder))
        with socket.create_server(("127.0.0.1", int(command[-1]))):
            print("up")
            beside()
        return 3

    monkeypatch.setattr(browsing, "serve", serve)
    return called


@pytest.fixture
def browsable(elsewhere: None, database: bytes) -> MlflowClient:
    """A database in the folder `data`, with an experiment that has no sweep yet."""
    Path("data").mkdir()
    Path("data", "mlflow.db").write_bytes(database)
    client = MlflowClient(database_uri(Path("data/mlflow.db").resolve()))
    client.create_experiment("gan_loss_weights")
    return client


def add_sweep(client: MlflowClient, name: str, *, started: int, has_table: bool = True) -> str:
    """A sweep's run as a sweep makes it; the link to its table."""
    experiment, sweep_id = client.get_experiment_by_name("gan_loss_weights"), f"{started:032x}"
    assert experiment
    tags = {"level": "sweep", "sweep_id": sweep_id}
    client.create_run(experiment.experiment_id, start_time=started, tags=tags, run_name=name)
    key = view_key(name, sweep_id)
    if has_table:
        client.set_experiment_tag(experiment.experiment_id, f"{VIEW_TAG}{key}", view_state(sweep_id, []))
    return view_link(f"http://127.0.0.1:{PORT}", experiment.experiment_id, key)


URI = ("--tracking-uri", "sqlite:///data/mlflow.db", "--port", PORT)


def test_a_database_that_is_not_there_is_refused_and_none_is_made(
    served: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("--tracking-uri", "sqlite:///none.db") == 2
    out, error = capsys.readouterr()
    path = Path("none.db").resolve()
    assert (out, error) == ("", f"error: --tracking-uri sqlite:///none.db: there is no {path}; a sweep makes it\n")
    assert served == []
    assert [each.name for each in Path().iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_cannot_be_is_refused(port: str, served: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--port", port) == 2
    assert f"--port {port}: expected a whole number" in capsys.readouterr().err
    assert served == []


def test_each_sweep_with_a_table_has_its_link_the_newest_first(
    browsable: MlflowClient, served: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = (add_sweep(browsable, name, started=time) for name, time in (("old", 1), ("new", 2)))
    add_sweep(browsable, "searching", started=3, has_table=False)
    ended(*URI)
    assert capsys.readouterr().out == f"{STARTS}\nup\nnew: {new}\nold: {old}\n"


def test_there_are_ten_links_at_most(
    browsable: MlflowClient, served: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for time in range(1, 13):
        add_sweep(browsable, f"s{time}", started=time)
    ended(*URI)
    names = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert names == [f"s{time}" for time in range(12, 2, -1)]


@pytest.mark.usefixtures("browsable")
def test_mlflow_serves_the_database_on_loopback_alone_and_its_exit_code_is_passed_on(
    served: list[tuple[list[str], Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*URI) == 3
    [(command, folder)] = served
    words = ["ui", "--backend-store-uri", "sqlite:///mlflow.db", "--host", "127.0.0.1", "--port", PORT]
    assert command[1:] == words
    assert os.environ["MLFLOW_UVICORN_OPTS"] == "--log-level=warning"
    assert Path(command[0]).name == "mlflow"
    assert folder == Path("data").resolve()
    assert capsys.readouterr().out.startswith(f"{STARTS}\nup\nno sweep in sqlite:///")


@pytest.mark.usefixtures("browsable")
def test_a_port_that_is_taken_is_refused(served: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert ended("--tracking-uri", "sqlite:///data/mlflow.db", "--port", str(port)) == 2
    assert f"error: --port {port}: cannot be used (Address already in use)" in capsys.readouterr().err
    assert served == []


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Begins a command with a server of two processes, whose output ends when both have; SIGHUP is as given."""
    begun: list[subprocess.Popen[str]] = []

    def begin(hangup: signal.Handlers = signal.SIG_DFL) -> subprocess.Popen[str]:
        server = "import os, time; os.fork(); print(os.getpid(), flush=True); time.sleep(600)"
        body = f"serve([sys.executable, '-c', {server!r}], Path({str(tmp_path)!r}))"
        code = f"import sys; from pathlib import Path; from sweeps.engine.browsing import serve; sys.exit({body})"

        def set_signals() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGHUP, hangup)

        begun.append(
            subprocess.Popen(
                [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=set_signals
            )
        )
        assert begun[-1].stdout
        for _ in range(2):  # both processes have begun
            assert begun[-1].stdout.readline()
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_server_and_its_own_processes(number: signal.Signals, serving: Serving) -> None:
    asked = serving()
    asked.send_signal(number)
    asked.communicate(timeout=240)
    assert asked.returncode == 0


def test_a_command_under_nohup_serves_on_when_the_terminal_is_closed(serving: Serving) -> None:
    asked = serving(signal.SIG_IGN)
    asked.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        asked.wait(1)
    asked.terminate()
    asked.communicate(timeout=240)
    assert asked.returncode == 0


def test_of_a_server_links_are_printed_and_nothing_is_run(
    served: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = {
        "info": {"run_id": "1", "run_name": "s", "experiment_id": "7", "start_time": 1, "status": "FINISHED"},
        "data": {"tags": [{"key": "sweep_id", "value": "0123456789"}, {"key": "level", "value": "sweep"}]},
    }
    experiment = {"experiment_id": "7", "name": "e", "tags": [{"key": f"{VIEW_TAG}s-01234567", "value": "{}"}]}
    answer = {"experiment": experiment, "experiments": [experiment], "runs": [run]}
    none = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}).encode()
    server = HttpServer(200, json.dumps(answer).encode(), {"experiments/get-by-name": (404, none)})
    try:
        assert ended("--tracking-uri", f"http://{server.address}/") == 0
    finally:
        server.end()
    link = view_link(f"http://{server.address}", "7", "s-01234567")
    assert capsys.readouterr().out == f"s: {link}\n"
    assert served == []
