"""A sweep follows a cluster that grows and shrinks: nodes that join, that are lost, and that an autoscaler starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster_process import ClusterProcess
from tests.sweep_process import Begin, MlflowRuns, SweepProcess, packs, poll

pytestmark = pytest.mark.xdist_group("cluster")  # one process for all: a machine has one address "auto"
SMALL = ["--scale", "smoke", "--normal-class", "0,6", "--configs", "13", "--epochs", "6", "--name", "n"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterProcess]:
    found = ClusterProcess(1)
    yield found
    found.end()


@pytest.fixture
def autoscaled() -> Iterator[ClusterProcess]:
    found = ClusterProcess(0, most=2)
    yield found
    found.end()


def _assert_all_trained(sweep: SweepProcess, count: int = 13) -> None:
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    states = [run.data.tags["state"] for run in runs.level("config", "search").values()]
    assert len(states) == count
    assert set(states) <= {"complete", "stopped"}


def test_nodes_that_do_not_come_in_time_are_one_line_and_nothing_is_begun(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    address = cluster.told["address"]
    sweep = begin(
        tmp_path, *SMALL, "--wait-for", "16gpus", "--wait-minutes", "0.01", "--address", address, **cluster.env
    )
    assert sweep.wait() == 2, sweep.out
    assert sweep.out == "waiting for --wait-for 16gpus: the cluster has 1 of 16 GPUs; 0 of 0.01 minutes\n"
    assert sweep.err.startswith("error: --wait-for 16gpus: after 0.01 minutes the cluster has 1 of 16 GPUs; start ")
    assert len(sweep.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
def test_a_node_that_joins_is_used_and_when_it_is_lost_its_trials_go_on_elsewhere(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    address = cluster.told["address"]
    sweep = begin(tmp_path, *SMALL, "--gpus-per-trial", "0.5", "--address", address, **cluster.env)
    poll(lambda: sweep.process.poll() is not None or packs(tmp_path / "runs" / "n") >= 1, "a pack")
    node = cluster.add_a_node()
    poll(lambda: sweep.process.poll() is not None or cluster.usage()["ran"].get(node), "a trial on the new node")
    cluster.remove_a_node()
    assert sweep.process.poll() is None, f"it ended before the node was lost\n{sweep.out}\n{sweep.err}"
    _assert_all_trained(sweep)
    assert "4 slots for trials, 2 before" in sweep.out
    assert "2 slots for trials, 4 before" in sweep.out
    assert " | 2 slots | " in sweep.out


@pytest.mark.long
def test_from_zero_nodes_an_autoscaler_starts_those_that_the_sweep_can_use(
    autoscaled: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    address = autoscaled.told["address"]
    fewer = ["--configs", "9", "--epochs", "4", "--gpus-per-trial", "1"]
    sweep = begin(tmp_path, *SMALL, *fewer, "--address", address, **autoscaled.env)
    _assert_all_trained(sweep, 9)
    assert "waiting for a trial with 1 CPU, 1 GPU: the cluster has 0 of 1 nodes that can hold it" in sweep.out
    seen = autoscaled.usage()
    assert len(seen["ran"]) >= 2, "both nodes that it may start"
    assert sum(seen["ran"].values()) <= 6, "a worker for each slot and stage; hardly one is ended as it starts"
    assert seen["waiting"] == 0, "nothing is asked for any longer"
