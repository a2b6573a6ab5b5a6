"""A cluster of several nodes on this machine, as a process that is told what to do: start_cluster.py."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


class ClusterProcess:
    """start_cluster.py as a process of its own: Ray reads its token once, when it is imported.

    private: a folder at which each worker node has a file system of its own.
    """

    def __init__(self, private: Path | None = None) -> None:
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("start_cluster.py")), *([str(private)] if private else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **self.env, "RAY_worker_niceness": "0"},  # at nice 15 they starve beside other tests
            start_new_session=True,
        )  # fmt: skip
        self.told = self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError("the cluster did not start")

    def remove_a_node(self) -> None:
        """As if its plug were pulled."""
        self._tell("remove")

    def add_a_node_with_its_own(self, folder: Path) -> None:
        """A node whose file system at `folder` no other node sees."""
        self._tell(f"private {folder}")
        self._line()

    def usage(self) -> dict[str, Any]:
        """What it has seen so far."""
        self._tell("usage")
        return self._line()

    def _tell(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Kill its group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
