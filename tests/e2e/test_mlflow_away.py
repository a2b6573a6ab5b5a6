"""An MLflow server that goes, comes back or does not answer: what a sweep leaves is the same."""

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

from tests.e2e.equal_outcome import SMALL, after_packs, ends_as_ever
from tests.e2e.kill_loop import KillLoop
from tests.sweep_process import Begin, poll


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
            self.command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # else ten more processes
            start_new_session=True,
        )
        self.wait_for_answers()

    def wait_for_answers(self) -> None:
        poll(self._answers, "the MLflow server")

    def signal(self, number: int) -> None:
        assert self.process
        os.killpg(self.process.pid, number)

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
    sweep = begin(tmp_path, *SMALL, uri=server.uri, MLFLOW_HTTP_REQUEST_TIMEOUT="15")
    after_packs(sweep, 1)
    server.kill()
    after_packs(sweep, 2)
    server.start()
    poll(lambda: "confirm:" in sweep.out or sweep.process.poll() is not None, "the confirmation")
    server.signal(signal.SIGSTOP)  # it takes requests and does not answer
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert "updates wait in" in sweep.err
    assert "--resume k" in sweep.err
    assert "Traceback" not in sweep.out + sweep.err

    server.signal(signal.SIGCONT)  # it carries out what it was asked for and the sweep had given up
    server.wait_for_answers()
    server.kill()
    away = begin(tmp_path, "--resume", "k", uri=server.uri)
    assert away.wait() == 2, "an address that is given has to answer"
    server.start()
    ends_as_ever(begin(tmp_path, "--resume", "k", uri=server.uri), loop, server.backend)
