"""The nodes of a cluster without Ray: each answers what it is asked as a function says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import ray

#: Answers a question, which is called with what else is given.
Answers = Callable[..., Any]


def here(question: Callable[..., Any], *given: Any) -> Any:
    """A node that sees and runs what this process does."""
    return question(*given)


def answer_as_nodes(monkeypatch: pytest.MonkeyPatch, nodes: Mapping[str, Answers]) -> None:
    """Let these nodes, by host name, stand for the cluster; the last number of an address is a node's place."""
    by_id = {f"{place:056x}": (name, answers) for place, (name, answers) in enumerate(nodes.items(), 1)}
    known = [
        {"NodeID": own, "NodeManagerAddress": f"10.0.0.{place}", "NodeManagerHostname": name, "Alive": True}
        for place, (own, (name, _)) in enumerate(by_id.items(), 1)
    ]

    class Remote:
        """A question that can be put to a node."""

        def __init__(self, question: Callable[..., Any]) -> None:
            self.question = question

        def options(self, scheduling_strategy: Any) -> Any:
            _, answers = by_id[scheduling_strategy.node_id]
            return SimpleNamespace(remote=lambda *given: functools.partial(answers, self.question, *given))

    monkeypatch.setattr(ray, "nodes", lambda: known)
    monkeypatch.setattr(ray, "remote", lambda **_: Remote)
    monkeypatch.setattr(ray, "get", lambda answer, timeout: answer())


class Machines:
    """The nodes of a cluster by what each of them has, such as {"CPU": 4, "GPU": 1}; they come and go."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self.nodes = list(nodes)

    def alive(self) -> list[dict[str, Any]]:
        """As `alive_nodes` says it."""
        return [{"NodeID": str(place), "Resources": node} for place, node in enumerate(self.nodes)]


class AskedFor:
    """Stands for Demand: what an autoscaler was asked for, in order."""

    def __init__(self, bundles: Any = (), strategy: str = "PACK", node: str | None = None) -> None:
        self.bundles, self.strategy, self.node, self.counts = bundles, strategy, node, list[int]()

    def ask(self, count: int) -> None:
        self.counts.append(count)

    hold = ask
