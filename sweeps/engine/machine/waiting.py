"""Wait for the nodes of a cluster, before the first trial."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import click

from adcore.errors import UserError
from sweeps.engine.machine.demand import Demand, autoscales
from sweeps.engine.machine.nodes import alive_nodes
from sweeps.engine.machine.resources import slots_on
from sweeps.engine.planning.run_settings import RunSettings

__all__ = ["await_nodes"]

#: Resources of each node.
Nodes = Sequence[Mapping[str, float]]
#: Seconds between two looks, and between two lines about them.
EVERY, QUIET = 1.0, 30.0


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is waited for. present: how much of it is there; demand: asks an autoscaler for it, with so many groups."""

    flag: str
    count: int
    unit: str
    present: Callable[[Nodes], float]
    demand: Demand
    groups: int


def await_nodes(settings: RunSettings) -> float:
    """Wait for what --wait-for asks for and, where nodes can be started, for one that can hold a trial.

    Returns the seconds that it took. Raises UserError if that is not there after --wait-minutes.
    """
    if settings.address == "local":
        return 0.0
    is_growing = autoscales()  # imports part of Ray, which is not waiting
    started_at = time.monotonic()
    for goal in (_goal_of_flag(settings), _goal_of_one_slot(settings) if is_growing else None):
        if goal:
            _await(goal, settings, started_at, is_growing=is_growing)
    return time.monotonic() - started_at


def _goal_of_flag(settings: RunSettings) -> Goal | None:
    if settings.awaited_resources is None:
        return None
    count, unit = settings.awaited_resources
    flag = f"--wait-for {settings.wait_for}"
    if unit == "nodes":
        spread = Demand([_share(settings)] * count, "STRICT_SPREAD")
        return Goal(
            flag, count, "nodes that can hold a trial", lambda nodes: _nodes_with_slots(nodes, settings), spread, 1
        )
    kind = unit[:-1].upper()
    return Goal(
        flag, count, f"{kind}s", lambda nodes: sum(node.get(kind, 0) for node in nodes), Demand([{kind: 1}]), count
    )


def _goal_of_one_slot(settings: RunSettings) -> Goal | None:
    """A node that can hold a trial; None where GPUs are meant and it was not said how many a trial takes."""
    if settings.is_for_gpus and settings.gpus_per_trial is None:
        return None
    share = ", ".join(f"{amount:g} {kind}" for kind, amount in _share(settings).items())
    return Goal(
        f"a trial with {share}", 1, "nodes that can hold it",
        lambda nodes: _nodes_with_slots(nodes, settings), Demand([_share(settings)]), 1,
    )  # fmt: skip


def _share(settings: RunSettings) -> dict[str, float]:
    """What a trial takes; a GPU where GPUs are meant and it was not said how many."""
    gpus = float(settings.is_for_gpus) if settings.gpus_per_trial is None else settings.gpus_per_trial
    return {"CPU": settings.cpus_per_trial, **({"GPU": gpus} if gpus else {})}


def _nodes_with_slots(nodes: Nodes, settings: RunSettings) -> int:
    gpus = _share(settings).get("GPU", 0)
    return sum(slots_on([node], settings.cpus_per_trial, gpus) > 0 for node in nodes)


def _await(goal: Goal, settings: RunSettings, started_at: float, *, is_growing: bool) -> None:
    printed_at = -QUIET
    try:
        while (present := goal.present([node["Resources"] for node in alive_nodes()])) < goal.count:
            now = time.monotonic() - started_at
            progress = f"the cluster has {present:g} of {goal.count} {goal.unit}"
            if now > 60 * settings.wait_minutes:
                raise UserError(
                    f"{goal.flag}: after {settings.wait_minutes:g} minutes {progress}; start the sweep again when it "
                    "has them, or with more --wait-minutes"
                )
            if now - printed_at >= QUIET:
                printed_at = now
                click.echo(f"waiting for {goal.flag}: {progress}; {now / 60:.0f} of {settings.wait_minutes:g} minutes")
            if is_growing:
                goal.demand.hold(goal.groups)
            time.sleep(EVERY)
    finally:
        goal.demand.hold(0)
