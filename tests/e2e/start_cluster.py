"""A head and two worker nodes with a fake GPU each, on this machine, until stdin ends; a line there removes a node.

    RAY_AUTH_MODE=token RAY_AUTH_TOKEN=... python start_cluster.py

Prints one line of JSON: {"address", "workers"}; and at the end a second one, for each node the most GPUs that were in
use at a time and the smallest share that was taken, and by node the actors that ran there.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter, defaultdict

import ray
from ray._private.state import actors, available_resources_per_node
from ray.cluster_utils import Cluster

MEMORY = 200_000_000


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    workers = [cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=MEMORY) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    print(json.dumps({"address": cluster.address, "workers": [node.node_id for node in workers]}), flush=True)

    ended = threading.Event()

    def obey() -> None:
        for _ in sys.stdin:
            cluster.remove_node(workers.pop(), allow_graceful=False)
        ended.set()

    threading.Thread(target=obey, daemon=True).start()
    used: defaultdict[str, set[float]] = defaultdict(set)
    while not ended.wait(0.1):
        for node, room in available_resources_per_node().items():
            used[node].add(round(1 - room.get("GPU", 0.0), 4))
    ran = Counter(each["Address"]["NodeID"] for each in actors().values() if "ImplicitFunc" in each["ActorClassName"])
    print(json.dumps({"used": {node: sorted(shares) for node, shares in used.items()}, "ran": ran}), flush=True)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
