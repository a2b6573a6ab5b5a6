"""A sweep that joins a running cluster of several nodes, with fractions of (fake) GPUs and token authentication."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sweep_process import Begin, MlflowRuns, poll, rungs

pytestmark = pytest.mark.xdist_group("cluster")  # one process for all: a machine has one address "auto"
ARGUMENTS = ["--scale", "smoke", "--normal-class", "0,3,6"]


class ClusterProcess:
    """start_cluster.py as a process of its own: Ray reads its token once, when it is imported."""

    def __init__(self) -> None:
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("start_cluster.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **self.env}, start_new_session=True,
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
        assert self.process.stdin
        self.process.stdin.write("remove\n")
        self.process.stdin.flush()

    def usage(self) -> dict[str, Any]:
        """End the cluster; what it saw."""
        assert self.process.stdin
        self.process.stdin.close()
        seen = self._line()
        self.process.wait(60)
        return seen

    def end(self) -> None:
        """Kill what is left of its group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterProcess]:
    found = ClusterProcess()
    yield found
    found.end()


@pytest.fixture
def doomed() -> Iterator[ClusterProcess]:
    found = ClusterProcess()
    yield found
    found.end()


def test_more_gpus_than_any_node_has_is_refused_with_what_it_has(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *ARGUMENTS, "--address", cluster.told["address"], "--gpus-per-trial", "2", **cluster.env)
    assert sweep.wait(60) == 2
    assert sweep.err == ("error: --gpus-per-trial 2: the largest node has 1 GPUs (cluster: 3 nodes, 2 GPUs)\n")
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "mlflow.db").exists()


def test_a_local_sweep_beside_a_running_cluster_starts_a_ray_of_its_own(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, "--scale", "smoke", "--normal-class", "0", "--configs", "1", "--epochs", "1")
    assert sweep.wait(150) == 0, f"{sweep.out}\n{sweep.err}"
    assert f"{os.cpu_count()} at a time" in sweep.out, "not the cluster's 4 slots of half a GPU"


def test_trials_run_on_both_nodes_with_half_a_gpu_each(cluster: ClusterProcess, begin: Begin, tmp_path: Path) -> None:
    address = cluster.told["address"]
    sweep = begin(
        tmp_path, *ARGUMENTS, "--configs", "6", "--name", "c", "--address", address, "--gpus-per-trial", "0.5",
        **cluster.env,
    )  # fmt: skip
    assert sweep.wait(200) == 0, f"{sweep.out}\n{sweep.err}"
    assert "4 at a time" in sweep.out
    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    assert len(runs.level("config", "search")) == 6
    assert f"--resume c --storage {tmp_path / 'runs'} --tracking-uri {sweep.uri} --address {address}" in sweep.out

    seen = cluster.usage()
    workers = set(cluster.told["workers"])
    assert len(workers) == 2
    assert set(seen["ran"]) == workers, "the head has no CPUs: it runs no trial"
    for node in workers:
        assert set(seen["used"][node]) <= {0.0, 0.5, 1.0}
        assert 1.0 in seen["used"][node], "two trials at a time share its GPU"
        assert 0.5 in seen["used"][node]


def test_the_trials_of_a_node_that_is_lost_go_on_elsewhere(
    doomed: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(
        tmp_path, "--scale", "smoke", "--normal-class", "0,6", "--configs", "6", "--epochs", "6", "--name", "n",
        "--address", doomed.told["address"], "--gpus-per-trial", "0.5", **doomed.env,
    )  # fmt: skip
    poll(lambda: sweep.process.poll() is not None or rungs(tmp_path / "runs" / "n") >= 1, 120, "a value at a rung")
    doomed.remove_a_node()
    assert sweep.wait(200) == 0, f"{sweep.out}\n{sweep.err}"
    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    states = [run.data.tags["state"] for run in runs.level("config", "search").values()]
    assert len(states) == 6
    assert set(states) <= {"complete", "stopped"}
