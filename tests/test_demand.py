"""Whether a cluster has an autoscaler, from what Ray tells a driver; an autoscaler of either kind."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.autoscaler.v2 import sdk, utils
from ray.experimental import internal_kv

from sweeps.engine.machine.demand import autoscales

NO_TYPE = f"node_{'0f' * 28}"


@pytest.mark.parametrize(
    ("report", "found"),
    [
        (None, False),  # Ray was started without a monitor, or a moment ago
        ({"time": 1}, False),
        ({"autoscaler_report": None}, False),
        ({"autoscaler_report": {"active_nodes": {NO_TYPE: 1}}}, False),
        ({"autoscaler_report": {"active_nodes": {"ray.head.default": 1}}}, True),
        ({"autoscaler_report": {"active_nodes": {"node_gpu": 1, NO_TYPE: 2}}}, True),
    ],
)
def test_an_autoscaler_names_the_types_of_its_nodes(
    report: dict[str, Any] | None, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utils, "is_autoscaler_v2", lambda: False)
    stored = None if report is None else json.dumps(report).encode()
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda key: stored if key == "__autoscaling_status" else None)
    assert autoscales() is found


@pytest.mark.parametrize(
    ("version", "name", "found"), [("0", "headgroup", False), ("12", "", False), ("12", "headgroup", True)]
)
def test_so_does_that_of_kuberay_if_it_runs(
    version: str, name: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utils, "is_autoscaler_v2", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="10.0.0.1:6379"))
    status = SimpleNamespace(
        active_nodes=[],
        idle_nodes=[SimpleNamespace(ray_node_type_name=name)],
        stats=SimpleNamespace(autoscaler_version=version),
    )
    monkeypatch.setattr(sdk, "get_cluster_status", lambda address: status)
    assert autoscales() is found
