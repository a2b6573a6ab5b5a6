"""Every node is asked: one that has just joined again and again, one that is gone in the meantime not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray.exceptions import RayError, TaskUnschedulableError

from adcore.errors import UserError
from sweeps.engine.machine import nodes
from sweeps.engine.machine.nodes import ask_every_node
from tests.fake_nodes import answer_as_nodes, here


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes.time, "sleep", lambda _: None)


def _failing(error: RayError, times: int = 10**9) -> Callable[..., Any]:
    """A node on which no worker can be started so many times."""
    left = [times]

    def answer(question: Callable[..., Any], *given: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return here(question, *given)

    return answer


def test_a_node_that_has_just_joined_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    joining = _failing(TaskUnschedulableError("the node does not exist"), times=2)
    answer_as_nodes(monkeypatch, {"head": here, "gpu1": joining})
    assert list(ask_every_node(lambda: "yes")) == [("10.0.0.1 (head)", "yes"), ("10.0.0.2 (gpu1)", "yes")]


def test_a_node_on_which_no_worker_starts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "JOINING", 0.0)
    for error in (TaskUnschedulableError("it is infeasible"), RayError("no Python\nit is infeasible")):
        answer_as_nodes(monkeypatch, {"head": here, "gpu1": _failing(error)})
        with pytest.raises(UserError, match=r"^node 10.0.0.2 \(gpu1\): no worker .* \(.*it is infeasible"):
            list(ask_every_node(lambda: "yes"))


def test_a_node_that_is_gone_in_the_meantime_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_as_nodes(monkeypatch, {"head": here, "spot": _failing(RayError("the node has died"))})
    before = ray.nodes()
    looks = iter([before])
    monkeypatch.setattr(ray, "nodes", lambda: next(looks, before[:1]))
    assert [name for name, _ in ask_every_node(lambda: "yes")] == ["10.0.0.1 (head)"]
