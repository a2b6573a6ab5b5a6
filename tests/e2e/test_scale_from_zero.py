"""A sweep that begins on a cluster without nodes: an autoscaler starts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster_process import ClusterProcess
from tests.sweep_process import Begin, MlflowRuns, packs, poll

pytestmark = pytest.mark.xdist_group("cluster")  # one process for all: a machine has one address "auto"


@pytest.fixture
def autoscaled() -> Iterator[ClusterProcess]:
    found = ClusterProcess(0, most=2)
    yield found
    found.end()


def test_from_zero_nodes_an_autoscaler_starts_those_that_the_sweep_can_use(
    autoscaled: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    address = autoscaled.told["address"]
    small = ["--scale", "smoke", "--normal-class", "0,6", "--configs", "9", "--epochs", "4", "--name", "n"]
    sweep = begin(tmp_path, *small, "--gpus-per-trial", "1", "--address", address, **autoscaled.env)
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    assert len(runs.level("config", "search")) == 9
    assert "waiting for a trial with 1 CPU, 1 GPU: the cluster has 0 of 1 nodes that can hold it" in sweep.out
    seen = autoscaled.usage()
    assert len(seen["ran"]) >= 2, "both nodes that it may start"
    assert sum(seen["ran"].values()) < packs(tmp_path / "runs" / "n"), "workers are used again"
    poll(lambda: autoscaled.usage()["waiting"] == 0, "nothing is asked for any longer")
