"""Ask every node of the cluster a question, which a worker there answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from adcore.errors import UserError

__all__ = ["alive_nodes", "ask_every_node", "is_alive", "node_of"]

Answer = TypeVar("Answer")
#: Seconds that a node may take to start a worker.
PATIENCE = 180.0


def alive_nodes() -> list[dict[str, Any]]:
    """What Ray knows of each node that is alive."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def node_of(actor: Any) -> str | None:
    """The id of the node that an actor runs on, or ran on; None if Ray does not know it any longer."""
    from ray._private.state import actors  # the state API for users needs a dashboard

    return actors(actor._actor_id.hex()).get("Address", {}).get("NodeID")


def is_alive(node: str | None) -> bool:
    """Whether a node with this id is alive."""
    return any(each["NodeID"] == node for each in alive_nodes())


def ask_every_node(question: Callable[..., Answer], *given: Any) -> Iterator[tuple[str, Answer]]:
    """Each alive node's address and host name, and its answer; all are asked at the same time.

    question: called there with `given`. Raises UserError, which names the node, if no worker can be started there.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0)(question)
    asked = [
        (
            f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})",
            ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(*given),
        )
        for node in alive_nodes()
    ]
    for name, answer in asked:
        try:
            found = ray.get(answer, timeout=PATIENCE)
        except RayError as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise UserError(f"node {name}: no worker could be started there ({last})") from error
        yield name, found
