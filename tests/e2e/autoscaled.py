"""A head whose autoscaler starts nodes with a fake GPU on this machine, as Ray's own fake provider of nodes does.

`ray.cluster_utils.AutoscalingCluster` does not do: it ends with `ray stop --force`, which ends every Ray of the
machine, and its configuration is not part of Ray's package. All processes here belong to the group of the one that
starts them.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from typing import Any

import ray
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE

from sweeps.engine.machine.demand import autoscales

__all__ = ["autoscaled_head", "wait_for_the_autoscaler"]


def autoscaled_head(most: int, memory: int) -> dict[str, Any]:
    """Arguments of a head without CPUs that starts up to so many nodes with 2 CPUs and a GPU, and ends idle ones."""
    os.environ |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    address = f"{ray.util.get_node_ip_address()}:{port}"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        json.dump(_configuration(most, memory, address), file)
    return {
        "gcs_server_port": port,
        "autoscaling_config": file.name,
        "env_vars": {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID},
    }


def wait_for_the_autoscaler() -> None:
    """Until it has said once what there is, a driver cannot know of it."""
    while not autoscales():
        time.sleep(0.1)


def _configuration(most: int, memory: int, address: str) -> dict[str, Any]:
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "autoscaled",
        "max_workers": most,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 60,
        "provider": {
            "type": "fake_multinode", "gcs_address": address, "use_node_id_as_ip": True,
            "disable_node_updaters": True, "disable_launch_config_check": True,
        },
        "auth": {},
        "docker": {},
        "available_node_types": {
            FAKE_HEAD_NODE_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "gpu": {
                "resources": {"CPU": 2, "GPU": 1, "object_store_memory": memory}, "node_config": {},
                "min_workers": 0, "max_workers": most,
            },
        },
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        **{f"{name}_commands": [] for name in commands},
    }  # fmt: skip
