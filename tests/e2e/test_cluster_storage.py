"""A node with a folder of its own where the others share the storage is refused; one that joins late gets no trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster_process import NEEDS_MOUNTS, ClusterProcess
from tests.sweep_process import Begin, packs, poll

pytestmark = [pytest.mark.xdist_group("cluster"), NEEDS_MOUNTS]


@pytest.fixture
def cluster() -> Iterator[ClusterProcess]:
    found = ClusterProcess()
    yield found
    found.end()


def test_a_node_without_the_shared_storage_is_refused_at_the_start_and_gets_no_trials_when_it_joins_late(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    storage = tmp_path / "runs"
    storage.mkdir()
    arguments = ["--scale", "smoke", "--normal-class", "0,6", "--configs", "60", "--epochs", "12", "--name", "n"]
    arguments += ["--address", cluster.told["address"]]
    late = begin(tmp_path, *arguments, **cluster.env)
    poll(lambda: late.process.poll() is not None or packs(storage / "n") >= 2, "two packs")
    cluster.add_a_node_with_its_own(storage)
    poll(lambda: late.process.poll() is not None or "it gets no trials" in late.err, "the node is named")
    assert f"does not see what the driver writes to {storage / 'n'}: it gets no trials; mount the storage" in late.err
    done = packs(storage / "n")
    poll(lambda: late.process.poll() is not None or packs(storage / "n") >= done + 3, "it goes on elsewhere")
    assert late.process.poll() is None, f"{late.out}\n{late.err}"
    for _ in range(2):
        cluster.remove_a_node()
    assert late.wait() == 1, f"{late.out}\n{late.err}"
    assert "files cannot be written" in late.err
    assert "configurations failed" not in late.err
    assert "when its files can be written again, continue with:" in late.out

    resumed = begin(tmp_path, "--resume", "n", "--address", cluster.told["address"], **cluster.env)
    assert resumed.wait() == 2, f"{resumed.out}\n{resumed.err}"
    assert resumed.err.startswith("error: --storage: node ")
    assert f"does not see what the driver writes to {storage / 'n'}" in resumed.err
    assert len(resumed.err.splitlines()) == 1
    assert not list((storage / "n").glob(".storage-token*"))

    new = begin(tmp_path, "--scale", "smoke", "--name", "new", "--address", cluster.told["address"], **cluster.env)
    assert new.wait() == 2
    assert [path.name for path in storage.iterdir()] == ["n"], "it leaves nothing behind"
