"""Room: how many trials fit on the cluster now; counted again as nodes come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sweeps.engine.machine.demand import Demand
from sweeps.engine.machine.nodes import alive_nodes
from sweeps.engine.machine.resources import Resources, slots_on

__all__ = ["Room"]

#: Seconds between two counts.
EVERY = 1.0
#: Seconds without work after which idle workers are ended: a node with one is not idle, and an autoscaler keeps it. A
#: new worker takes seconds to load torch.
IDLE = 60.0


class Room:
    """The slots of a trial's share.

    resources: the share, with the slots to plan for: one where there is none, as the trial that waits for it is what
    an autoscaler sees. present: the slots that are there. workers: how many idle workers are worth their slots. A local
    Ray's room is fixed.

    most: slots at most (--max-concurrent). demand: what an autoscaler is asked with; None if there is none.
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
    ) -> None:
        self.resources, self.is_fixed, self.most, self.demand = resources, is_fixed, most, demand
        self.nodes, self.clock = nodes, clock
        self.present = self.workers = resources.slots
        self.counted = self.needed = clock()

    def is_due(self) -> bool:
        """Whether it is time for the next count."""
        return not self.is_fixed and self.clock() - self.counted >= EVERY

    def count(self) -> bool:
        """Count the slots; returns whether their number has changed."""
        self.counted, before = self.clock(), self.present
        found = slots_on([node["Resources"] for node in self.nodes()], self.resources.cpus, self.resources.gpus)
        self.present = min(found, self.most or found)
        self.resources = self.resources.at_a_time(max(1, self.present))
        return self.present != before

    def need(self, under_way: int, ready: int) -> None:
        """Take note of the trials under way and of how many more could begin: an autoscaler is asked for their room."""
        if ready:
            self.needed = self.clock()
        self.workers = self.resources.slots if self.clock() - self.needed < IDLE else 0
        if self.demand:
            wanted = min(under_way + ready, self.most or under_way + ready)
            self.demand.ask(max(0, wanted - max(under_way, self.resources.slots)))

    def withdraw(self) -> None:
        """Ask for nothing more."""
        if self.demand:
            self.demand.hold(0)
