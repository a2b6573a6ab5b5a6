"""The slots for trials follow the nodes of a cluster, and an autoscaler is asked for what the work could use."""

from __future__ import annotations

import pytest

from sweeps.engine.machine.cluster_slots import IDLE, ClusterSlots
from sweeps.engine.machine.resources import Resources
from tests.fake_nodes import AskedFor, Machines

GPU = {"CPU": 4.0, "GPU": 2.0}
HEAD = {"CPU": 0.0}


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _cluster_slots(
    machines: Machines, *, most: int | None = None, clock: Clock | None = None
) -> tuple[ClusterSlots, AskedFor]:
    asked = AskedFor()
    resources = Resources(cpus=1, gpus=1, slots=2)
    return ClusterSlots(
        resources, is_fixed=False, max_slots=most, demand=asked, nodes=machines.alive, clock=clock or Clock()  # type: ignore[arg-type]
    ), asked  # fmt: skip


def test_slots_follow_nodes_that_come_and_go() -> None:
    machines = Machines(HEAD, GPU)
    cluster_slots, _ = _cluster_slots(machines)
    assert not cluster_slots.count()
    machines.nodes += [GPU, GPU]
    assert cluster_slots.count()
    assert (cluster_slots.present, cluster_slots.resources.slots) == (6, 6)
    del machines.nodes[2:]
    assert cluster_slots.count()
    assert cluster_slots.present == 2


def test_without_any_node_one_trial_waits_for_the_first() -> None:
    machines = Machines(HEAD)
    cluster_slots, asked = _cluster_slots(machines)
    assert cluster_slots.count()
    assert (cluster_slots.present, cluster_slots.resources.slots) == (0, 1)
    cluster_slots.update_demand(0, 5)
    assert asked.counts == [4], "its own placement group waits, too"


def test_it_is_counted_once_in_a_while_and_never_on_a_local_ray() -> None:
    clock = Clock()
    cluster_slots, _ = _cluster_slots(Machines(GPU), clock=clock)
    assert not cluster_slots.is_due()
    clock.now = 1.0
    assert cluster_slots.is_due()
    cluster_slots.count()
    assert not cluster_slots.is_due()
    local = ClusterSlots(Resources(cpus=1, gpus=0, slots=3), is_fixed=True, clock=clock)
    clock.now = 100.0
    assert not local.is_due()
    assert (local.resources.slots, local.workers) == (3, 3)


@pytest.mark.parametrize(
    ("under_way", "ready", "most", "asked_for"),
    [
        (2, 0, None, 0),  # nothing is left to begin
        (2, 5, None, 5),
        (1, 1, None, 0),  # a slot is free
        (1, 3, None, 2),
        (3, 2, None, 2),  # a node was lost: its trial waits with a placement group of its own
        (2, 5, 4, 2),
        (2, 5, 2, 0),
        (2, 5, 1, 0),
    ],
)
def test_an_autoscaler_is_asked_for_what_can_begin_beyond_the_slots(
    under_way: int, ready: int, most: int | None, asked_for: int
) -> None:
    cluster_slots, asked = _cluster_slots(Machines(GPU), most=most)
    cluster_slots.count()
    cluster_slots.update_demand(under_way, ready)
    assert asked.counts == [asked_for]
    cluster_slots.withdraw_demand()
    assert asked.counts[-1] == 0


def test_the_most_trials_at_a_time_limit_the_slots() -> None:
    machines = Machines(GPU)
    cluster_slots, _ = _cluster_slots(machines, most=3)
    machines.nodes.append(GPU)
    cluster_slots.count()
    assert cluster_slots.present == 3


def test_idle_workers_are_ended_when_nothing_was_ready_for_a_while() -> None:
    clock = Clock()
    cluster_slots, _ = _cluster_slots(Machines(GPU), clock=clock)
    cluster_slots.update_demand(2, 1)
    assert cluster_slots.workers == 2
    clock.now = IDLE - 1
    cluster_slots.update_demand(1, 0)
    assert cluster_slots.workers == 2
    clock.now = IDLE
    cluster_slots.update_demand(1, 0)
    assert cluster_slots.workers == 0
    cluster_slots.update_demand(1, 3)
    assert cluster_slots.workers == 2


def test_a_node_that_is_shunned_gets_no_trials_as_long_as_another_can_have_them() -> None:
    machines, keepers = Machines(GPU, GPU), list[AskedFor]()

    def keeper(*given: object) -> AskedFor:
        keepers.append(AskedFor(*given))
        return keepers[-1]

    resources = Resources(cpus=1, gpus=1, slots=4)
    cluster_slots = ClusterSlots(resources, is_fixed=False, nodes=machines.alive, make_demand=keeper)  # type: ignore[arg-type]
    assert cluster_slots.exclude("1")
    assert (keepers[0].bundles, keepers[0].node, keepers[0].counts) == ([{"CPU": 1}], "1", [4]), "all its CPUs are kept"
    assert cluster_slots.count()
    assert cluster_slots.present == 2
    assert not cluster_slots.exclude("0"), "no other is left"
    assert cluster_slots.exclude("1"), "it has failed once more"
    machines.nodes[0] = HEAD
    assert not cluster_slots.count()
    assert keepers[0].counts[-1] == 0, "the next trial there says what is wrong"
    assert cluster_slots.present == 2
    machines.nodes[0] = GPU
    assert cluster_slots.exclude("1")
    del machines.nodes[1]
    cluster_slots.count()
    assert keepers[1].counts[-1] == 0, "a node that is gone needs no keeping"
    assert not cluster_slots.excluded
