"""Before its first trial a sweep waits for the nodes that it was told to wait for, or that an autoscaler can start."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from adcore.errors import UserError
from sweeps.engine.machine import waiting
from sweeps.engine.machine.waiting import await_nodes
from sweeps.engine.planning.settings import SweepSettings
from tests.fake_nodes import AskedFor, Machines

CPU, GPU = {"CPU": 4.0}, {"CPU": 4.0, "GPU": 2.0}


class Cluster:
    """A cluster to which a node is added at each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *nodes: dict[str, float], grows: bool = False) -> None:
        self.machines, self.coming = Machines(*nodes), list[dict[str, float]]()
        self.demands: list[AskedFor] = []
        monkeypatch.setattr(waiting, "autoscales", lambda: grows)
        monkeypatch.setattr(waiting, "alive_nodes", self._look)
        monkeypatch.setattr(waiting, "Demand", self._demand)
        monkeypatch.setattr(waiting, "EVERY", 0.0)

    def _look(self) -> list[dict[str, Any]]:
        seen = self.machines.alive()
        self.machines.nodes += self.coming[:1]
        del self.coming[:1]
        return seen

    def _demand(self, *given: Any) -> AskedFor:
        self.demands.append(AskedFor(*given))
        return self.demands[-1]


def _settings(wait_for: str | None = None, **settings: Any) -> SweepSettings:
    return SweepSettings(address="10.0.0.1:6379", scale="laptop", wait_for=wait_for, **settings)


@pytest.mark.parametrize("given", ["4gpus", "8cpus", "3nodes"])
def test_it_waits_until_the_cluster_has_so_much_and_says_so(
    given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(monkeypatch, {"CPU": 1.0})
    cluster.coming = [GPU, GPU]
    assert await_nodes(_settings(given)) >= 0
    assert len(cluster.machines.nodes) == 3
    said = capsys.readouterr()
    assert said.out.startswith(f"waiting for --wait-for {given}: the cluster has ")
    assert len(said.out.splitlines()) == 1
    assert said.err == ""
    assert all(not any(each.counts) for each in cluster.demands), "it would keep room from others: no node can come"


def test_what_is_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Cluster(monkeypatch, GPU, GPU)
    await_nodes(_settings("4gpus"))
    await_nodes(_settings())
    assert capsys.readouterr().out == ""


def test_after_the_longest_wait_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, CPU, GPU, grows=True)
    with pytest.raises(UserError) as refused:
        await_nodes(_settings("16gpus", wait_minutes=0.001))
    assert str(refused.value) == (
        "--wait-for 16gpus: after 0.001 minutes the cluster has 2 of 16 GPUs; start the sweep again when it has them, "
        "or with more --wait-minutes"
    )
    assert cluster.demands[0].counts[-1] == 0, "nothing is asked for any longer"


def test_an_autoscaler_is_asked_for_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "4gpus": ([{"GPU": 1}], "PACK", 4),
        "8cpus": ([{"CPU": 1}], "PACK", 8),
        "3nodes": ([{"CPU": 2, "GPU": 0.5}] * 3, "STRICT_SPREAD", 1),
    }
    for given, (bundles, strategy, count) in asked.items():
        cluster = Cluster(monkeypatch, {"CPU": 1.0}, grows=True)
        cluster.coming = [GPU, GPU, GPU]
        await_nodes(_settings(given, cpus_per_trial=2, gpus_per_trial=0.5))
        demand = cluster.demands[0]
        assert (demand.bundles, demand.strategy) == (bundles, strategy)
        assert demand.counts[0] == count
        assert demand.counts[-1] == 0


def test_at_the_scale_for_gpus_a_node_without_one_holds_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, CPU, CPU, CPU, grows=True)
    cluster.coming = [GPU, GPU, GPU]
    await_nodes(dataclasses.replace(_settings("3nodes"), scale="gpu"))
    assert len(cluster.machines.nodes) == 6
    assert cluster.demands[0].bundles == [{"CPU": 1, "GPU": 1}] * 3
    cluster = Cluster(monkeypatch, CPU, CPU, CPU)
    await_nodes(dataclasses.replace(_settings("3nodes", gpus_per_trial=0), scale="gpu"))
    assert len(cluster.machines.nodes) == 3, "it was asked for"


def test_from_zero_nodes_one_that_can_hold_a_trial_is_asked_for_where_an_autoscaler_can_start_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(monkeypatch, CPU, grows=True)
    cluster.coming = [GPU]
    await_nodes(_settings(gpus_per_trial=1))
    assert cluster.demands[0].bundles == [{"CPU": 1, "GPU": 1}]
    assert cluster.demands[0].counts[0] == 1
    assert "a trial with 1 CPU, 1 GPU" in capsys.readouterr().out
    cluster = Cluster(monkeypatch, CPU, grows=False)
    assert await_nodes(_settings(gpus_per_trial=1)) < 60, "the sweep is refused then"
    assert not any(any(each.counts) for each in cluster.demands)


def test_gpus_that_nobody_asked_for_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, CPU, grows=True)
    await_nodes(_settings())
    await_nodes(SweepSettings(address="10.0.0.1:6379", scale="gpu"))
    assert not any(any(each.counts) for each in cluster.demands)


@pytest.mark.parametrize("given", ["", "16", "gpus", "0gpus", "1.5gpus", "16 gpus", "many", "-1nodes", "100000cpus"])
def test_another_form_is_refused_with_the_legal_ones(given: str) -> None:
    with pytest.raises(UserError, match=r"--wait-for .*expected a number .* such as 16gpus, 8cpus or 3nodes"):
        _settings(given)
