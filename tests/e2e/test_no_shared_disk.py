"""Nodes that share no disk, come and go: checkpoints are in S3, from where a sweep goes on when its head is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.engine.storage.check import open_store
from tests.e2e.cluster_process import NEEDS_MOUNTS, ClusterProcess
from tests.e2e.equal_outcome import SMALL
from tests.e2e.kill_loop import KillLoop
from tests.e2e.sweep_outcome import outcome
from tests.s3_server import S3Server, running_s3
from tests.sweep_process import Begin, packs, poll

pytestmark = [pytest.mark.xdist_group("cluster"), NEEDS_MOUNTS]


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture
def cluster(s3: S3Server, tmp_path: Path) -> Iterator[ClusterProcess]:
    """Two nodes that see nothing of the folder in which the heads keep their records."""
    (tmp_path / "heads").mkdir()
    made = ClusterProcess(0)
    for _ in range(2):
        made.add_a_node_with_its_own(tmp_path / "heads")
    yield made
    made.end()


def test_a_sweep_without_a_shared_disk_ends_as_ever_though_its_head_and_its_nodes_are_replaced(
    cluster: ClusterProcess, s3: S3Server, loop: KillLoop, begin: Begin, tmp_path: Path
) -> None:
    heads, where = tmp_path / "heads", ["--address", cluster.told["address"], "--gpus-per-trial", "0"]
    first = begin(tmp_path, *SMALL, *where, "--checkpoints", s3.address(), storage=heads / "first", **cluster.env)
    poll(lambda: first.process.poll() is not None or packs(heads / "first" / "k") >= 1, "a pack")
    cluster.lose_a_node_with_its_own()
    joined = cluster.add_a_node_with_its_own(heads)
    assert first.process.poll() is None, f"{first.out}\n{first.err}"
    first.process.kill()
    first.process.wait()
    store = open_store(s3.address()).below("k")
    assert store.holds("record.zip")

    address, _, options = s3.address().partition("?")
    second = begin(tmp_path, "--resume", f"{address}/k?{options}", *where, storage=heads / "second", **cluster.env)
    poll(lambda: second.process.poll() is not None or "at a time" in second.out, "the sweep's first line")
    cluster.lose_a_node_with_its_own()  # the other one of the first two
    assert second.wait() == 0, f"{second.out}\n{second.err}"
    assert not (heads / "second" / "k" / "checkpoints").exists()
    assert cluster.usage()["ran"].get(joined)
    expected, _ = loop.reference(0)
    found = outcome(heads / "second" / "k", second.uri)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert "test-secret" not in first.out + first.err + second.out + second.err

    stale = begin(tmp_path, "--resume", "k", *where, storage=heads / "first", **cluster.env)
    assert stale.wait() == 2
    assert "the record in --storage is not the latest" in stale.err
