"""ClusterSlots: how many trials fit on the cluster now; counted again as nodes come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sweeps.engine.machine.demand import Demand, autoscales
from sweeps.engine.machine.nodes import alive_nodes
from sweeps.engine.machine.resources import Resources, slots_on
from sweeps.engine.planning.run_settings import RunSettings

__all__ = ["ClusterSlots", "slots_for"]

#: Seconds between two counts.
EVERY = 1.0
#: Seconds without work after which idle workers are ended: a node with one is not idle, and an autoscaler keeps it. A
#: new worker takes seconds to load torch.
IDLE = 60.0


class ClusterSlots:
    """The slots of a trial's share.

    resources: the share, with the slots to plan for: one where there is none, as the trial that waits for it is what
    an autoscaler sees. present: the slots that are there. workers: how many idle workers are worth their slots. A local
    Ray's slots are fixed.

    max_slots: --max-concurrent. demand: what an autoscaler is asked with; None if there is none.
    excluded: nodes that get no trials, with what keeps their CPUs from them.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        is_fixed: bool,
        max_slots: int | None = None,
        demand: Demand | None = None,
        nodes: Callable[[], Sequence[dict[str, Any]]] = alive_nodes,
        clock: Callable[[], float] = time.monotonic,
        make_demand: Callable[..., Demand] = Demand,
    ) -> None:
        self.resources, self.is_fixed, self.max_slots, self.demand = resources, is_fixed, max_slots, demand
        self.nodes, self.clock = nodes, clock
        self.excluded: dict[str, Demand] = {}
        self.make_demand = make_demand
        self.present = self.workers = resources.slots
        self.counted_at = self.needed_at = clock()

    def is_due(self) -> bool:
        """Whether it is time for the next count."""
        return not self.is_fixed and self.clock() - self.counted_at >= EVERY

    def count(self) -> bool:
        """Count the slots; returns whether their number has changed."""
        self.counted_at, before = self.clock(), self.present
        if self.excluded:  # if there is no other, better than to wait: the next trial says what is wrong with it
            self._occupy(self.excluded if self._slots_without(self.excluded) else ())
        slots = self._slots_without(self.excluded)
        self.present = min(slots, self.max_slots or slots)
        self.resources = self.resources.with_slots(max(1, self.present))
        return self.present != before

    def update_demand(self, under_way: int, ready: int) -> None:
        """Note the trials under way and how many more could begin: an autoscaler is asked for their slots."""
        if ready:
            self.needed_at = self.clock()
        self.workers = self.resources.slots if self.clock() - self.needed_at < IDLE else 0
        if self.demand:
            wanted = min(under_way + ready, self.max_slots or under_way + ready)
            self.demand.ask(max(0, wanted - max(under_way, self.resources.slots)))

    def exclude(self, node: str) -> bool:
        """Give a node no trials any more; returns False if no other has a slot."""
        if not self._slots_without((*self.excluded, node)):
            return False
        self._occupy((*self.excluded, node))
        return True

    def withdraw_demand(self) -> None:
        """Ask for nothing more."""
        if self.demand:
            self.demand.hold(0)

    def _slots_without(self, nodes: Collection[str]) -> int:
        others = [node["Resources"] for node in self.nodes() if node["NodeID"] not in nodes]
        return slots_on(others, self.resources.cpus, self.resources.gpus)

    def _occupy(self, nodes: Collection[str]) -> None:
        """Keep the CPUs of these nodes, as far as they are alive, and of no others, from trials."""
        cpus = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in self.nodes()}
        before, self.excluded = self.excluded, {}
        for name in cpus.keys() & set(nodes):
            self.excluded[name] = before.get(name) or self.make_demand([{"CPU": 1}], "PACK", name)
        for name, demand in {**before, **self.excluded}.items():
            demand.hold(cpus[name] if name in self.excluded else 0)


def slots_for(resources: Resources, settings: RunSettings) -> ClusterSlots:
    """The slots of a local Ray, or of the joined cluster."""
    if settings.address == "local":
        return ClusterSlots(resources, is_fixed=True)
    demand = Demand([resources.bundle]) if autoscales() else None
    return ClusterSlots(resources, is_fixed=False, max_slots=settings.max_concurrent, demand=demand)
