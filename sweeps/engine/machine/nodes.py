"""Ask every node of the cluster a question, which a worker there answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from adcore.errors import UserError

__all__ = ["alive_nodes", "ask_every_node", "is_alive", "node_of"]

Answer = TypeVar("Answer")
#: Seconds that a node may take to start a worker.
PATIENCE = 180.0
#: Seconds within which Ray can place tasks on a node that has joined.
JOINING = 30.0


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


def ask_every_node(question: Callable[..., Answer], *arguments: Any) -> Iterator[tuple[str, Answer]]:
    """Each alive node's address and host name, and its answer; all are asked at the same time.

    question: called there with `arguments`. A node that is gone before it has answered is left out. Raises UserError,
    which names the node, if no worker can be started there.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0)(question)

    def ask_node(node: Mapping[str, Any]) -> Any:
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        return ask.options(scheduling_strategy=strategy).remote(*arguments)

    for node, answer_reference in [(node, ask_node(node)) for node in alive_nodes()]:
        name = f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})"
        try:
            answer = _answer(answer_reference, lambda node=node: ask_node(node))
        except RayError as error:
            if not is_alive(node["NodeID"]):
                continue
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise UserError(f"node {name}: no worker could be started there ({last})") from error
        yield name, answer


def _answer(first: Any, ask_again: Callable[[], Any]) -> Any:
    """The answer of a node; asked again for a while, as Ray may not place tasks yet on one that has just joined."""
    import ray
    from ray.exceptions import TaskUnschedulableError

    answer, deadline = first, time.monotonic() + JOINING
    while True:
        try:
            return ray.get(answer, timeout=PATIENCE)
        except TaskUnschedulableError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)
        answer = ask_again()
