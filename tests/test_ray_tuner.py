"""What the scheduler tells Tune: as many trials and workers as there are slots for, and which failures count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.search import ConcurrencyLimiter
from ray.tune.utils.object_cache import _ObjectCache

from sweeps.engine.machine.cluster_slots import ClusterSlots
from sweeps.engine.machine.resources import Resources
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.search.ray_tuner import _NoStopping
from tests.fake_nodes import AskedFor, Machines
from tests.sweep_parts import record_of, small_plan

NODE = {"CPU": 2.0}
CUT_OFF = "UserError: node gpu7 does not see what the driver writes to /shared/n"


class Tune:
    """A scheduler, and what it uses of Tune's controller."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self.machines, resources = Machines(*nodes), Resources(cpus=1, gpus=0, slots=2)
        self.cluster_slots = ClusterSlots(resources, is_fixed=False, nodes=self.machines.alive, make_demand=AskedFor)  # type: ignore[arg-type]
        self.search = LadderSearch("search", [record_of(small_plan())], limit=1, slots=2)
        self.limiter, self.errors, self.updates = ConcurrencyLimiter(self.search, max_concurrent=2), list[Any](), 0
        self.scheduler = _NoStopping(self.search, self.limiter, self.cluster_slots, self.errors.append)
        self.scheduler.losses.node_of = lambda worker: worker
        self.trials: list[Any] = []
        self._trial_to_actor: dict[Any, str] = {}
        self._actor_cache, self._resetting_trials = _ObjectCache(), set[Any]()

    def get_trials(self) -> list[Any]:
        return self.trials

    get_live_trials = get_trials

    def update_max_pending_trials(self) -> None:
        self.updates += 1

    def step(self) -> Any:
        return self.scheduler.choose_trial_to_run(self)


class Itself(SimpleNamespace):
    """A trial is equal to itself alone."""

    __hash__, __eq__ = object.__hash__, object.__eq__


def _trial(name: str, folder: Path, status: str = Trial.PENDING, node: str | None = None) -> Any:
    return Itself(
        trial_id=name, status=status, placement_group_factory="share", run_metadata=SimpleNamespace(num_failures=1),
        temporary_state=SimpleNamespace(ray_actor=node), error_file=str(folder / f"{name}.txt"),
    )  # fmt: skip


def test_trials_and_idle_workers_follow_the_slots(tmp_path: Path) -> None:
    tune = Tune(NODE)
    tune.trials = [_trial("a", tmp_path)]
    tune.scheduler.on_trial_add(tune, tune.trials[0])
    for count, slots in ((3, 6), (1, 2)):
        tune.machines.nodes = [NODE] * count
        tune.cluster_slots.count()
        tune.cluster_slots.update_demand(slots, 1)
        tune.step()
        assert tune.limiter.max_concurrent == slots
        assert tune._actor_cache.total_max_objects == slots
    assert tune.updates == 2
    tune.step()
    assert tune.updates == 2


def test_an_idle_worker_is_for_a_trial_that_has_none_and_not_for_one_whose_own_is_starting(tmp_path: Path) -> None:
    tune = Tune(NODE)
    running, starting, new = tune.trials = [_trial(name, tmp_path) for name in "abc"]
    running.status = Trial.RUNNING
    tune._trial_to_actor = {running: "its worker", starting: "a worker that starts"}
    assert tune.step() is new
    tune._trial_to_actor[new] = "another"
    assert tune.step() is starting


@pytest.mark.parametrize(
    ("text", "nodes", "lost", "counted", "errors"),
    [
        ("The actor died because its node has died. Node Id: a", 2, "a", 0, 0),
        ("ValueError: expected two equal shapes", 2, "", 1, 0),
        (CUT_OFF, 2, "a", 0, 0),
        (CUT_OFF, 1, "", 0, 1),
        ("adcore.errors.UserError: a.ckpt: cannot be written (No space left on device)", 2, "", 1, 1),
    ],
)
def test_what_a_node_or_the_storage_did_does_not_count_as_a_failure_of_the_trial(
    text: str, nodes: int, lost: str, counted: int, errors: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tune = Tune(*[NODE] * nodes)
    trial = _trial("a", tmp_path, Trial.RUNNING, node="0")
    tune.trials = [trial]
    tune.step()
    tune._resetting_trials.add(trial)
    Path(trial.error_file).write_text(f"Failure # 1 (occurred at noon)\n{text}\n")
    tune.scheduler.on_trial_error(tune, trial)
    assert (tune.search.lost_trial, trial.run_metadata.num_failures, len(tune.errors)) == (lost, counted, errors)
    assert not tune._resetting_trials
    assert list(tune.cluster_slots.excluded) == (["0"] if lost and text == CUT_OFF else [])
    said = capsys.readouterr().err
    assert (f"{CUT_OFF.partition(': ')[2]}: it gets no trials; mount the storage" in said) == bool(
        tune.cluster_slots.excluded
    )
