"""A trial whose node is lost is not to blame; one that crashes is, also where Ray knows no more than that it is out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.engine.search.node_losses import UNCERTAIN_SECONDS, NodeLosses

# As Ray 2.60 says it.
DIED = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: ImplicitFunc\nThe actor died because its "
    "node has died. Node Id: 5fb9\n\tthe actor's node was terminated unexpectedly: health check failed"
)
UNREACHABLE = (
    "The actor 086a is unavailable: The actor is temporarily unavailable: RpcError: RPC error: Socket closed rpc_code: "
    "14. The task may or may not have been executed on the actor."
)
CRASHED = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"


class Cluster:
    """Two nodes, and the seconds that have passed."""

    def __init__(self) -> None:
        self.alive, self.now = {"a", "b"}, 0.0
        self.losses = NodeLosses(
            node_of=lambda worker: worker, is_alive=self.alive.__contains__, clock=lambda: self.now
        )


def _trial(folder: Path, node: str) -> Any:
    state, counted = SimpleNamespace(ray_actor=node), SimpleNamespace(num_failures=0)
    return SimpleNamespace(
        trial_id="t", temporary_state=state, run_metadata=counted, error_file=str(folder / "error.txt")
    )


def _fail(trial: Any, text: str) -> None:
    """As Tune does: count it, and note why."""
    trial.run_metadata.num_failures += 1
    with open(trial.error_file, "a") as file:
        file.write(f"Failure # {trial.run_metadata.num_failures} (occurred at noon)\n{text}\n")


def test_the_loss_of_a_node_never_counts_and_a_crash_always_does(tmp_path: Path) -> None:
    cluster, trial = Cluster(), _trial(tmp_path, "a")
    for _ in range(3):
        _fail(trial, DIED)
        assert cluster.losses.forgive(trial)
        assert trial.run_metadata.num_failures == 0
    _fail(trial, CRASHED)
    assert not cluster.losses.forgive(trial), "the losses before are no excuse"
    assert trial.run_metadata.num_failures == 1
    _fail(trial, DIED)
    assert cluster.losses.forgive(trial)
    assert trial.run_metadata.num_failures == 1


@pytest.mark.parametrize(("alive", "counted"), [(True, 1), (False, 0)])
def test_a_worker_that_could_not_be_reached_has_crashed_if_its_node_turns_out_to_be_there(
    alive: bool, counted: int, tmp_path: Path
) -> None:
    cluster, trial = Cluster(), _trial(tmp_path, "a")
    cluster.losses.follow([trial])
    _fail(trial, UNREACHABLE)
    trial.temporary_state.ray_actor = None
    assert cluster.losses.forgive(trial)
    trial.temporary_state.ray_actor = "b"  # it goes on there
    cluster.losses.follow([trial])
    assert trial.run_metadata.num_failures == 0
    if not alive:
        cluster.alive.discard("a")
    cluster.now = UNCERTAIN_SECONDS
    for _ in range(2):
        cluster.losses.follow([trial])
        assert trial.run_metadata.num_failures == counted


def test_a_trial_that_left_no_word_has_crashed(tmp_path: Path) -> None:
    assert not Cluster().losses.forgive(_trial(tmp_path, "a"))


def test_a_node_that_does_not_see_the_storage_is_named_and_does_not_count(tmp_path: Path) -> None:
    cluster, trial = Cluster(), _trial(tmp_path, "a")
    cluster.losses.follow([trial])
    _fail(trial, CRASHED)
    assert cluster.losses.node_without_storage(trial) is None
    _fail(trial, "UserError: node gpu7 does not see what the driver writes to /shared/n")
    assert cluster.losses.node_without_storage(trial) == "a"
    assert trial.run_metadata.num_failures == 1
