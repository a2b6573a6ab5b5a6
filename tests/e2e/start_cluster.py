"""A head and worker nodes with a fake GPU each, on this machine, until stdin ends.

    RAY_AUTH_MODE=token RAY_AUTH_TOKEN=... python -m tests.e2e.start_cluster NODES MOST

MOST: nodes that an autoscaler may start; 0 for a cluster without one. Prints one line of JSON: {"address", "workers"}.
Obeys lines of stdin:
    usage           prints the shares of each node's GPU that were in use at some time, by node how many actors ran
                    there, and how many placement groups wait for a node
    add             adds a node, and prints a line when it is there
    remove          removes the last node as if its plug were pulled
    replace         removes the node that joined first, in the same way, adds one, and prints a line when it is there
    private FOLDER  adds a node with a file system of its own mounted there (as root), prints a line when it is there
    lose-private    removes the private node that joined first, in the same way
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ray
from ray._private import node
from ray._private.state import actors, available_resources_per_node
from ray.cluster_utils import Cluster
from ray.util import placement_group_table

from tests.e2e.autoscaled import autoscaled_head, wait_for_the_autoscaler
from tests.sweep_process import HANGS

MEMORY = 200_000_000


def main() -> None:
    count, most = map(int, sys.argv[1:])
    _be_patient()
    head = autoscaled_head(most, MEMORY) if most else {}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY, **head})
    workers = [_add(cluster) for _ in range(count)]
    cluster.wait_for_nodes(HANGS)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    if most:
        wait_for_the_autoscaler()
    print(json.dumps({"address": cluster.address, "workers": [each.node_id for each in workers]}), flush=True)

    used: defaultdict[str, set[float]] = defaultdict(set)
    private: list[subprocess.Popen[bytes]] = []
    told: queue.Queue[str] = queue.Queue()  # obeyed in this thread: Ray handles signals where it starts a node
    threading.Thread(target=lambda: [told.put(line) for line in chain(sys.stdin, ["end"])], daemon=True).start()
    while (command := _next(told)) != "end":
        for node_id, room in available_resources_per_node().items():
            used[node_id].add(round(1 - room.get("GPU", 0.0), 4))
        if command == "usage":
            shares = {node_id: sorted(seen) for node_id, seen in used.items()}
            print(json.dumps({"used": shares, "ran": _ran(), "waiting": _waiting()}), flush=True)
        elif command in ("add", "replace"):
            if command == "replace":
                cluster.remove_node(workers.pop(0), allow_graceful=False)
            workers.append(_add(cluster))
            print(json.dumps({"added": workers[-1].node_id}), flush=True)
        elif command == "remove":
            cluster.remove_node(workers.pop(), allow_graceful=False)
        elif command.startswith("private "):
            private.append(_add_private(cluster.address, command.removeprefix("private ")))
        elif command == "lose-private":
            private.pop(0).kill()  # the first process of its namespace: the system kills all others there
    ray.shutdown()
    cluster.shutdown()


def _be_patient() -> None:
    """Ray gives a node half a minute to start, which a busy machine may not have."""
    slow_clock = {**vars(time), "monotonic": lambda: time.monotonic() * 30 / HANGS}
    node.time = SimpleNamespace(**slow_clock)
    Cluster._wait_for_node.__defaults__ = (HANGS,)


def _next(told: queue.Queue[str]) -> str:
    """The next command; empty if there is none for a moment."""
    try:
        return told.get(timeout=0.1).strip()
    except queue.Empty:
        return ""


def _add(cluster: Cluster) -> Any:
    return cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=MEMORY)


def _add_private(address: str, folder: str) -> subprocess.Popen[bytes]:
    before = _alive()
    ray_command = str(Path(sys.executable).with_name("ray"))
    start = [ray_command, "start", f"--address={address}", "--num-cpus=2", "--num-gpus=1", "--block"]
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    mounted = [*namespaces, "sh", "-c", 'mount -t tmpfs own "$0" && exec "$@"', folder]
    command = [*mounted, *start, f"--object-store-memory={MEMORY}"]
    process = subprocess.Popen(command, stdout=sys.stderr)
    while not (added := _alive() - before):
        if process.poll() is not None:  # it was too slow for Ray's limit
            process = subprocess.Popen(command, stdout=sys.stderr)
        time.sleep(1)
    print(json.dumps({"added": added.pop()}), flush=True)
    return process


def _alive() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _ran() -> Counter[str]:
    """How many trials' actors ran, by node; one that is about to start has none yet."""
    trials = [each for each in actors().values() if "ImplicitFunc" in each["ActorClassName"]]
    return Counter(node_id for each in trials if (node_id := each["Address"]["NodeID"]))


def _waiting() -> int:
    """How many placement groups an autoscaler sees."""
    return sum(each["state"] == "PENDING" for each in placement_group_table().values())


if __name__ == "__main__":
    main()
