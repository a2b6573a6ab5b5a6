"""On a cluster, its own GPUs decide on scale and resources: those of the driver's machine say nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from adcore.errors import UserError
from sweeps.engine.machine import cluster, resources
from sweeps.engine.machine.cluster import cluster_has_gpus
from sweeps.engine.machine.resources import resources_of_cluster
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.planning.settings import SweepSettings

CPU, GPU = {"CPU": 4.0}, {"CPU": 4.0, "GPU": 2.0}


def _joined(monkeypatch: pytest.MonkeyPatch, *nodes: dict[str, float]) -> None:
    """A cluster of these nodes that answers."""

    @contextmanager
    def join(_: RunSettings) -> Generator[None]:
        yield

    for module in (cluster, resources):
        monkeypatch.setattr(module, "alive_nodes", lambda: [{"Resources": node} for node in nodes])
    monkeypatch.setattr(cluster, "ray_cluster", join)
    monkeypatch.setattr(cluster, "check_address", lambda _: None)
    monkeypatch.setattr(cluster, "prepare_environment", lambda _: None)


def _settings(scale: str | None, gpus: float | None = None) -> SweepSettings:
    return SweepSettings(address="10.0.0.1:6379", scale=scale, gpus_per_trial=gpus)


def test_a_cluster_is_asked_for_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    _joined(monkeypatch, CPU, GPU)
    assert cluster_has_gpus(_settings(None))
    _joined(monkeypatch, CPU, {**CPU, "GPU": 0.0})
    assert not cluster_has_gpus(_settings(None))


def test_the_scale_for_gpus_is_refused_while_no_node_has_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _joined(monkeypatch, CPU, CPU)
    with pytest.raises(UserError) as refused:
        resources_of_cluster(_settings("gpu"))
    for part in ("--scale gpu", "no node of the cluster has a GPU yet", "--gpus-per-trial 0"):
        assert part in str(refused.value)
    assert resources_of_cluster(_settings("gpu", gpus=0)).slots == 8
    assert capsys.readouterr().err == "", "it was asked for"
    _joined(monkeypatch, CPU, GPU)
    assert resources_of_cluster(_settings("gpu")).gpus == 1


def test_another_scale_trains_on_cpus_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _joined(monkeypatch, CPU)
    assert resources_of_cluster(_settings("laptop")).gpus == 0
    assert capsys.readouterr().err.startswith("no node of the cluster has a GPU: the trials train on CPUs")
    assert resources_of_cluster(SweepSettings(scale="gpu")).gpus == 0
    assert capsys.readouterr().err == "", "a local Ray has the machine's GPUs, and no others"
