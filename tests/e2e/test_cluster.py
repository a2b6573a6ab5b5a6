"""A sweep that joins a running cluster of several nodes, with fractions of (fake) GPUs and token authentication."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adcore.system.cpus import allotted_cpus
from tests.e2e.cluster_process import ClusterProcess
from tests.sweep_process import Begin, MlflowRuns, packs, poll

pytestmark = pytest.mark.xdist_group("cluster")  # one process for all: a machine has one address "auto"
ARGUMENTS = ["--scale", "smoke", "--normal-class", "0,6", "--gpus-per-trial", "0.5"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterProcess]:
    found = ClusterProcess()
    yield found
    found.end()


def test_more_gpus_than_any_node_has_is_refused_with_what_it_has(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    address = ["--address", cluster.told["address"]]
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    sweep = begin(tmp_path, *ARGUMENTS[:-1], "2", *address, uri=uri, **cluster.env)
    assert sweep.wait() == 2
    assert sweep.err == ("error: --gpus-per-trial 2: the largest node has 1 GPU (cluster: 3 nodes, 2 GPUs)\n")
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "own.db").exists()


def test_nodes_that_do_not_come_in_time_are_one_line_and_nothing_is_begun(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    address = ["--address", cluster.told["address"]]
    sweep = begin(tmp_path, *ARGUMENTS, "--wait-for", "16gpus", "--wait-minutes", "0.2", *address, **cluster.env)
    assert sweep.wait() == 2, sweep.out
    assert sweep.out == "waiting for --wait-for 16gpus: the cluster has 2 of 16 GPUs; 0 of 0.2 minutes\n"
    assert sweep.err.startswith("error: --wait-for 16gpus: after 0.2 minutes the cluster has 2 of 16 GPUs; start ")
    assert len(sweep.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_without_a_scale_the_gpus_of_the_cluster_decide(cluster: ClusterProcess, begin: Begin, tmp_path: Path) -> None:
    sweep = begin(tmp_path, "--plan", "--address", cluster.told["address"], CUDA_VISIBLE_DEVICES="", **cluster.env)
    assert sweep.wait() == 0, sweep.err
    assert "scale gpu" in sweep.out


def test_a_token_that_is_missing_one_that_is_wrong_and_one_that_is_not_shown_are_told_apart(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    """What the line says, by what is set here."""
    (tmp_path / "home").mkdir()
    cases = [
        ({}, f"there is none here; copy ~/.ray/auth_token of its head to {tmp_path}"),
        ({"RAY_AUTH_TOKEN": "0" * 64}, "the token of RAY_AUTH_TOKEN is not that of this cluster"),
        ({**cluster.env, "RAY_AUTH_MODE": "disabled"}, "asks for a token, and RAY_AUTH_MODE is 'disabled'; unset it"),
    ]
    for given, hint in cases:
        address = ["--address", cluster.told["address"]]
        sweep = begin(tmp_path, "--scale", "smoke", *address, HOME=str(tmp_path / "home"), **given)
        assert sweep.wait() == 2, sweep.out
        assert hint in sweep.err
        assert len(sweep.err.splitlines()) == 1, sweep.err


def test_a_plan_measures_a_worker_of_the_cluster(cluster: ClusterProcess, begin: Begin, tmp_path: Path) -> None:
    sweep = begin(tmp_path, *ARGUMENTS, "--plan", "--probe", "--address", cluster.told["address"], **cluster.env)
    assert sweep.wait() == 0, sweep.err
    assert "4 at a time, images/s of each: search " in sweep.out
    assert "measured)" in sweep.out
    assert sweep.err == "measuring, about ten seconds ...\n"
    assert not (tmp_path / "runs").exists()


def test_a_local_sweep_beside_a_running_cluster_starts_a_ray_of_its_own(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, "--scale", "smoke")
    poll(lambda: "at a time" in sweep.out or sweep.process.poll() is not None, "the sweep's first line")
    assert f"{allotted_cpus()} at a time" in sweep.out, "not the cluster's 4 slots of half a GPU"
    sweep.interrupt()
    assert sweep.wait() == 130, f"{sweep.out}\n{sweep.err}"


def test_trials_share_the_gpus_of_all_nodes_go_on_elsewhere_when_one_is_lost_and_use_one_that_joins(
    cluster: ClusterProcess, begin: Begin, tmp_path: Path
) -> None:
    address, workers = cluster.told["address"], set(cluster.told["workers"])
    assert len(workers) == 2
    many = ["--configs", "16", "--epochs", "6", "--name", "n", "--address", address]
    sweep = begin(tmp_path, *ARGUMENTS, *many, **cluster.env)
    poll(lambda: sweep.process.poll() is not None or packs(tmp_path / "runs" / "n") >= 3, "three packs")
    seen = cluster.usage()
    assert set(seen["ran"]) == workers, "the head has no CPUs: it runs no trial"
    for node in workers:
        assert set(seen["used"][node]) <= {0.0, 0.5, 1.0}
        assert 1.0 in seen["used"][node], "two trials at a time share its GPU"
    cluster.remove_a_node()
    poll(lambda: sweep.process.poll() is not None or "2 slots for trials, 4 before" in sweep.out, "the node is missed")
    node = cluster.add_a_node()
    poll(lambda: sweep.process.poll() is not None or cluster.usage()["ran"].get(node), "a trial on the new node")
    assert sweep.process.poll() is None, f"it ended before the node was used\n{sweep.out}\n{sweep.err}"
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert "4 at a time" in sweep.out
    assert "4 slots for trials, 2 before" in sweep.out
    assert f"--resume n --storage {tmp_path / 'runs'} --tracking-uri {sweep.uri} --address {address}" in sweep.out
    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    states = [run.data.tags["state"] for run in runs.level("config", "search").values()]
    assert len(states) == 16
    assert set(states) <= {"complete", "stopped"}
