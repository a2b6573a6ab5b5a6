"""A PostgreSQL server of a test's own: files in a temporary folder, a free port on loopback, no privileges."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.loopback import free_port
from tests.sweep_process import poll

USER = "sweeps"


def programs() -> Path:
    """The folder of PostgreSQL's programs. Without them the test is skipped, or fails where CI=true."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *map(Path, os.environ.get("PATH", "").split(":"))]
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    if os.environ.get("CI") == "true":
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
    pytest.skip("PostgreSQL is not installed: apt-get install postgresql")


class Postgres:
    """Running from the call of start() to that of end()."""

    def __init__(self) -> None:
        self.programs = programs()
        # not below pytest's folders, which nobody else may enter: as root, the server runs as Debian's user for it
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.account = "postgres" if os.geteuid() == 0 else None
        if self.account:
            shutil.chown(self.folder, self.account)
        self.port = free_port()
        self.password = secrets.token_hex(16)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if self.account:
            shutil.chown(secret, self.account)
        subprocess.run(
            [
                self.programs / "initdb", "--pgdata", self.folder / "data", "--username", USER, "--encoding", "UTF8",
                "--locale", "C", "--auth", "scram-sha-256", "--pwfile", secret, "--no-sync",
            ],
            user=self.account, cwd=self.folder, stdout=subprocess.DEVNULL, check=True, timeout=240,
        )  # fmt: skip
        self.process = subprocess.Popen(
            [
                self.programs / "postgres", "-D", self.folder / "data", "-h", "127.0.0.1", "-p", str(self.port),
                "-k", self.folder, "-c", "fsync=off",
            ],
            user=self.account, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        poll(self._answers, "PostgreSQL")

    def end(self) -> None:
        if self.process:
            self.process.terminate()  # its "smart" shutdown waits for clients, which have ended
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        ready = [self.programs / "pg_isready", "--quiet", "--host", "127.0.0.1", "--port", str(self.port)]
        return subprocess.run(ready, check=False, timeout=60).returncode == 0
