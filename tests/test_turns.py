"""Stages in turn within one run of Tune, on a real local Ray."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.tune.search import Searcher

from sweeps.engine.machine.cluster import Resources
from sweeps.engine.search.ray_tuner import fit
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.turns import InTurn, Turn


class Numbers(PackSearcher):
    """Hands out numbers, and keeps what their trials reported."""

    keeps_checkpoints = False

    def __init__(self, name: str, numbers: list[int]) -> None:
        super().__init__([])
        self.name, self.left, self.under_way = name, deque(numbers), set[str]()
        self.results: list[tuple[int, int]] = []  # number and process

    def suggest(self, trial_id: str) -> Any:
        if not self.left:
            return None if self.under_way else Searcher.FINISHED
        self.under_way.add(trial_id)
        return {"number": self.left.popleft()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: what counts is the last one."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.under_way.remove(trial_id)
        assert result
        self.results.append((result["number"], result["process"]))


@pytest.fixture
def local_ray() -> Any:
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("local_ray")
def test_a_turn_begins_when_the_one_before_has_ended_and_its_worker_is_the_same(tmp_path: Path) -> None:
    first, second = Numbers("first", [1, 2]), Numbers("second", [3, 4])

    def report(config: dict[str, Any]) -> None:
        tune.report({"number": config["number"], "process": os.getpid()})

    following = deque([Turn(second, (1, 0))])
    told: list[tuple[str, int]] = []

    def advance(ended: Turn) -> Turn | None:
        told.append((ended.search.name, len(first.results) + len(second.results)))
        return following.popleft() if following else None

    search = InTurn(Turn(first, (1, 0)), advance)
    room = Resources(cpus=1, gpus=0, slots=1)
    fit(search, tune.Callback(), report, home=tmp_path, room=room, on_storage_error=pytest.fail)
    assert told == [("first", 2), ("second", 4)]
    assert [number for number, _ in first.results] == [1, 2]
    assert [number for number, _ in second.results] == [3, 4]
    assert len({process for _, process in first.results + second.results}) == 1


def test_turns_without_a_trial_are_passed_over() -> None:
    turns = [Turn(Numbers(name, numbers), (1, 0)) for name, numbers in (("a", []), ("b", []), ("c", [5]))]
    search = InTurn(turns[0], lambda ended: next(iter(turns[turns.index(ended) + 1 :]), None))
    assert search.suggest("x") == {"number": 5}
    assert search.suggest("y") is None, "its trial is under way"
    search.on_trial_complete("x", {"number": 5, "process": 0})
    assert search.suggest("z") == Searcher.FINISHED
