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

    most: slots at most (--max-concurrent). demand: what an autoscaler is asked with; None if there is none.
    shunned: nodes that get no trials, with what keeps their CPUs from them.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        is_fixed: bool,
        most: int | None = None,
        demand: Demand | None = None,
        nodes: Callable[[], Sequence[dict[str, Any]]] = alive_nodes,
        clock: Callable[[], float] = time.monotonic,
        keeper: Callable[..., Demand] = Demand,
    ) -> None:
        self.resources, self.is_fixed, self.most, self.demand = resources, is_fixed, most, demand
        self.nodes, self.clock = nodes, clock
        self.shunned: dict[str, Demand] = {}
        self.keeper = keeper
        self.present = self.workers = resources.slots
        self.counted = self.needed = clock()

    def is_due(self) -> bool:
        """Whether it is time for the next count."""
        return not self.is_fixed and self.clock() - self.counted >= EVERY

    def count(self) -> bool:
        """Count the slots; returns whether their number has changed."""
        self.counted, before = self.clock(), self.present
        if self.shunned:  # if there is no other, better than to wait: the next trial says what is wrong with it
            self._keep_out(self.shunned if self._slots_without(self.shunned) else ())
        found = self._slots_without(self.shunned)
        self.present = min(found, self.most or found)
        self.resources = self.resources.at_a_time(max(1, self.present))
        return self.present != before

    def need(self, under_way: int, ready: int) -> None:
        """Note the trials under way and how many more could begin: an autoscaler is asked for their slots."""
        if ready:
            self.needed = self.clock()
        self.workers = self.resources.slots if self.clock() - self.needed < IDLE else 0
        if self.demand:
            wanted = min(under_way + ready, self.most or under_way + ready)
            self.demand.ask(max(0, wanted - max(under_way, self.resources.slots)))

    def shun(self, node: str) -> bool:
        """Give a node no trials any more; returns False if no other has room for one."""
        if not self._slots_without((*self.shunned, node)):
            return False
        self._keep_out((*self.shunned, node))
        return True

    def withdraw(self) -> None:
        """Ask for nothing more."""
        if self.demand:
            self.demand.hold(0)

    def _slots_without(self, nodes: Collection[str]) -> int:
        others = [node["Resources"] for node in self.nodes() if node["NodeID"] not in nodes]
        return slots_on(others, self.resources.cpus, self.resources.gpus)

    def _keep_out(self, nodes: Collection[str]) -> None:
        """Keep the CPUs of these nodes, as far as they are alive, and of no others, from trials."""
        cpus = {each["NodeID"]: int(each["Resources"].get("CPU", 0)) for each in self.nodes()}
        before, self.shunned = self.shunned, {}
        for name in cpus.keys() & set(nodes):
            self.shunned[name] = before.get(name) or self.keeper([{"CPU": 1}], "PACK", name)
        for name, keeper in {**before, **self.shunned}.items():
            keeper.hold(cpus[name] if name in self.shunned else 0)


def slots_for(resources: Resources, settings: RunSettings) -> ClusterSlots:
    """The slots of a local Ray, or of the joined cluster."""
    if settings.address == "local":
        return ClusterSlots(resources, is_fixed=True)
    demand = Demand([resources.bundle]) if autoscales() else None
    return ClusterSlots(resources, is_fixed=False, most=settings.max_concurrent, demand=demand)
