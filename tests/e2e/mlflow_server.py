"""A real MLflow server on an address of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.loopback import answers, free_port
from tests.sweep_process import HANGS, poll


class Server:
    """An MLflow server on an address of its own, which can be killed and started again.

    options: of `mlflow server`. backend: its database, instead of a SQLite file in `folder`.
    """

    def __init__(self, folder: Path, *options: str, backend: str | None = None) -> None:
        self.port = port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        self.backend = backend or f"sqlite:///{folder / 'server.db'}"
        program = str(Path(sys.executable).with_name("mlflow"))
        self.command = [
            program, "server", "--artifacts-destination", str(folder / "artifacts"),
            "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *options,
        ]  # fmt: skip
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={
                **os.environ,
                "MLFLOW_BACKEND_STORE_URI": self.backend,  # no command line shows its password
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else ten more processes
            },
            start_new_session=True,
        )
        self.wait_for_answers()

    def wait_for_answers(self) -> None:
        poll(lambda: answers(f"{self.uri}/health"), "the MLflow server")
        experiments = f"http://localhost:{self.port}/api/2.0/mlflow/experiments/search?max_results=1"
        poll(lambda: answers(experiments), "its store, which it opens for the first request")

    def signal(self, number: int) -> None:
        assert self.process
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(HANGS)
