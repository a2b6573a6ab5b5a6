"""Workers that are killed or hang, and an MLflow server that comes and goes: what a sweep leaves is the same."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_loop import ARGUMENTS, KINDS, KillLoop
from sweep_outcome import outcome
from sweep_process import Begin, SweepProcess, poll, rungs

FUSED = [*ARGUMENTS, *KINDS[0], "--name", "k"]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> KillLoop:
    """Uninterrupted sweeps to compare with, made once."""
    return KillLoop(tmp_path_factory.mktemp("loop"), seed=7)


def _at_a_rung(sweep: SweepProcess, count: int) -> None:
    home = sweep.folder / "runs" / "k"
    poll(lambda: sweep.process.poll() is not None or rungs(home) >= count, 120, f"{count} values at rungs")
    assert sweep.process.poll() is None, f"it ended too early\n{sweep.out}\n{sweep.err}"


def _ends_as_ever(sweep: SweepProcess, loop: KillLoop, uri: str | None = None) -> None:
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    expected, _ = loop.reference(0)
    found = outcome(sweep.folder / "runs" / "k", uri or sweep.uri)
    assert found == expected


def test_a_killed_worker_is_started_again_and_a_second_driver_is_refused(
    loop: KillLoop, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *FUSED)
    _at_a_rung(sweep, 1)
    worker = poll(sweep.worker, 60, "a worker that trains")
    worker.kill()
    poll(lambda: (other := sweep.worker()) and other.pid != worker.pid, 60, "another worker")
    second = begin(tmp_path, "--resume", "k")
    assert second.wait(60) == 2
    assert second.err == "error: sweep 'k' is being run by another process; wait for it, or end it\n"
    _ends_as_ever(sweep, loop)


def test_a_worker_that_hangs_is_started_again(loop: KillLoop, begin: Begin, tmp_path: Path) -> None:
    sweep = begin(tmp_path, *FUSED, "--report-timeout", "0.4")
    _at_a_rung(sweep, 1)
    worker = poll(sweep.worker, 60, "a worker that trains")
    worker.suspend()
    poll(lambda: not worker.is_running() and sweep.process.poll() is None, 90, "its end, in mid-sweep")
    _ends_as_ever(sweep, loop)


def test_sigterm_and_two_ctrl_c_leave_a_sweep_that_goes_on(loop: KillLoop, begin: Begin, tmp_path: Path) -> None:
    first = begin(tmp_path, *FUSED)
    poll(lambda: "confirm:" in first.out or first.process.poll() is not None, 120, "the confirmation")
    first.process.terminate()
    assert first.wait(60) == 130, f"{first.out}\n{first.err}"
    assert "--resume k" in first.out
    second = begin(tmp_path, "--resume", "k")
    poll(lambda: "confirm:" in second.out or second.process.poll() is not None, 120, "the confirmation")
    second.interrupt()
    second.interrupt()
    assert second.wait(30) == 130, f"{second.out}\n{second.err}"
    assert "Traceback" not in first.err + second.err
    _ends_as_ever(begin(tmp_path, "--resume", "k"), loop)


class Server:
    """An MLflow server on an address of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.uri, self.backend = f"http://127.0.0.1:{port}", f"sqlite:///{folder / 'server.db'}"
        program = str(Path(sys.executable).with_name("mlflow"))
        self.command = [
            program, "server", "--backend-store-uri", self.backend,
            "--artifacts-destination", str(folder / "artifacts"),
            "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        ]  # fmt: skip
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, start_new_session=True
        )
        poll(self._answers, 120, "the MLflow server")

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


def test_what_mlflow_missed_is_delivered_in_mid_sweep_and_by_the_resume(
    loop: KillLoop, server: Server, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *FUSED, uri=server.uri)
    _at_a_rung(sweep, 1)
    server.kill()
    _at_a_rung(sweep, 2)
    server.start()
    poll(lambda: "confirm:" in sweep.out or sweep.process.poll() is not None, 120, "the confirmation")
    server.kill()
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert "updates wait in" in sweep.err
    assert "--resume k" in sweep.err
    assert "Traceback" not in sweep.out + sweep.err

    away = begin(tmp_path, "--resume", "k", uri=server.uri)
    assert away.wait() == 2, "an address that is given has to answer"
    server.start()
    _ends_as_ever(begin(tmp_path, "--resume", "k", uri=server.uri), loop, server.backend)


def test_a_server_that_takes_requests_and_does_not_answer_holds_up_nothing(
    loop: KillLoop, server: Server, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *FUSED, uri=server.uri)
    _at_a_rung(sweep, 1)
    assert server.process
    os.killpg(server.process.pid, signal.SIGSTOP)
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert "updates wait in" in sweep.err
    os.killpg(server.process.pid, signal.SIGCONT)  # it now carries out what it was asked and the sweep had given up
    _ends_as_ever(begin(tmp_path, "--resume", "k", uri=server.uri), loop, server.backend)
