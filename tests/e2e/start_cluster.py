"""A head and two worker nodes with a fake GPU each, on this machine, until stdin ends.

    RAY_AUTH_MODE=token RAY_AUTH_TOKEN=... python start_cluster.py [FOLDER]

With FOLDER, each worker node has a file system of its own mounted there (as root). Prints one line of JSON:
{"address", "workers"}. Obeys lines of stdin: `usage` prints the shares of each node's GPU that were in use at some
time, and by node how many actors ran there; `remove` removes a node as if its plug were pulled; `private FOLDER` adds
a node with a file system of its own mounted there (as root), and prints a line when it is there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import ray
from ray._private.state import actors, available_resources_per_node
from ray.cluster_utils import Cluster

MEMORY = 200_000_000


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    private = sys.argv[1] if len(sys.argv) > 1 else None
    own = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": MEMORY}
    workers = [] if private else [cluster.add_node(**own) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    for _ in range(2 if private else 0):
        _add_private(cluster.address, str(private))
    print(json.dumps({"address": cluster.address, "workers": [node.node_id for node in workers]}), flush=True)

    ended = threading.Event()

    used: defaultdict[str, set[float]] = defaultdict(set)

    def obey() -> None:
        for line in sys.stdin:
            if line == "usage\n":
                shares = {node: sorted(seen) for node, seen in dict(used).items()}
                print(json.dumps({"used": shares, "ran": _ran()}), flush=True)
            elif line == "remove\n":
                cluster.remove_node(workers.pop(), allow_graceful=False)
            elif line.startswith("private "):
                _add_private(cluster.address, line.removeprefix("private ").strip())
                print(json.dumps({"alive": _alive()}), flush=True)
        ended.set()

    threading.Thread(target=obey, daemon=True).start()
    while not ended.wait(0.1):
        for node, room in available_resources_per_node().items():
            used[node].add(round(1 - room.get("GPU", 0.0), 4))
    ray.shutdown()
    cluster.shutdown()


def _add_private(address: str, folder: str) -> None:
    count = _alive()
    ray_command = str(Path(sys.executable).with_name("ray"))
    start = [ray_command, "start", f"--address={address}", "--num-cpus=2", "--num-gpus=1", "--block"]
    mounted = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs own "$0" && exec "$@"', folder]
    subprocess.Popen([*mounted, *start, f"--object-store-memory={MEMORY}"], stdout=sys.stderr)
    while _alive() == count:
        time.sleep(0.1)


def _alive() -> int:
    return sum(node["Alive"] for node in ray.nodes())


def _ran() -> Counter[str]:
    """How many trials' actors ran, by node."""
    return Counter(each["Address"]["NodeID"] for each in actors().values() if "ImplicitFunc" in each["ActorClassName"])


if __name__ == "__main__":
    main()
