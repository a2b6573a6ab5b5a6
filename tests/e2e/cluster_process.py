"""A cluster of several nodes on this machine, as a process that is told what to do: start_cluster.py."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.sweep_process import HANGS, ROOT

#: Ray gives a node half a minute to start, which a busy machine may not have.
ATTEMPTS = 3
#: For tests in which nodes mount folders of their own; in CI a machine that forbids it fails them.
NEEDS_MOUNTS = pytest.mark.skipif(
    "CI" not in os.environ
    and subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True).returncode
    != 0,
    reason="needs the right to mount",
)


class ClusterProcess:
    """start_cluster.py as a process of its own: Ray reads its token once, when it is imported.

    nodes: with a GPU. most: nodes that an autoscaler may start.
    """

    def __init__(self, nodes: int = 2, *, most: int = 0) -> None:
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        for _ in range(ATTEMPTS):
            self.process = self._start(nodes, most)
            if told := self._line():
                break
            with suppress(ProcessLookupError):
                self.end()
        else:
            raise AssertionError("the cluster did not start")
        self.told = told

    def _start(self, nodes: int, most: int) -> subprocess.Popen[str]:
        patient = {"RAY_gcs_server_port_wait_time_s": "120", "RAY_worker_niceness": "0"}  # else 20 s, and 15
        environment = {**os.environ, **patient, **self.env}
        environment.pop("CUDA_VISIBLE_DEVICES", None)  # the nodes' GPUs are made up: Ray would find none
        return subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.start_cluster", str(nodes), str(most)], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment, start_new_session=True,
        )  # fmt: skip

    def _line(self) -> dict[str, Any]:
        """The next line of JSON; empty if the process has ended."""
        assert self.process.stdout
        return next((json.loads(line) for line in self.process.stdout if line.startswith("{")), {})

    def add_a_node(self) -> str:
        """Another node with a GPU; its id."""
        self._tell("add")
        return self._line()["added"]

    def remove_a_node(self) -> None:
        """As if its plug were pulled."""
        self._tell("remove")

    def replace_a_node(self) -> None:
        """The one that joined first is lost, as if its plug were pulled, and another joins."""
        self._tell("replace")
        self._line()

    def add_a_node_with_its_own(self, folder: Path) -> str:
        """A node whose file system at `folder` no other node sees; its id."""
        self._tell(f"private {folder}")
        return self._line()["added"]

    def lose_a_node_with_its_own(self) -> None:
        """That which joined first, as if its plug were pulled."""
        self._tell("lose-private")

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
        self.process.wait(HANGS)
