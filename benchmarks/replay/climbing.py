"""The ladder over a table, in simulated time: its own code decides, recorded curves answer."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np

from adcore.datasets import DATASETS
from sweeps.engine.ladder import PARTS, REDUCTION, Ladder, added, affordable, members_on, rungs_of

from .table import Table

__all__ = ["CLASS_EPOCHS", "Setting", "climb"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A ladder: its rungs as parts of classes and epochs, and of how many configurations one goes up."""

    parts: tuple[tuple[float, float], ...] = PARTS
    reduction: int = REDUCTION


#: Cost of an experiment's epoch in a pack of so many, in a unit of one's own; here each costs the same.
CLASS_EPOCHS: Mapping[int, float] = {1: 1.0}


def climb(
    table: Table,
    order: Sequence[int],
    budget: float,
    *,
    workers: int,
    setting: Setting,
    limit: int = 1,
    costs: Mapping[int, float] = CLASS_EPOCHS,
) -> tuple[float, int | None]:
    """What a sweep of this budget costs, and the row that it chooses; None if nothing was complete.

    As many configurations are proposed, in this order, as the budget is for. limit: experiments in a pack. Where the
    order of the classes is not known, the first configuration is trained on all of them to find it: the one with the
    lowest AUROC comes first.
    """
    known = DATASETS.get(table.dataset)
    is_known = known and known.hardest_first != tuple(range(table.classes))  # that is no order
    classes = list(known.hardest_first) if known and is_known else []
    class_epochs = budget  # as many as the budget pays for, which the packs that come about decide
    while True:
        climbing = _Climbing(table, class_epochs, workers, setting, limit, costs)
        if len(classes) == table.classes:
            climbing.classes = classes
            spent, row = climbing.run(order)
        else:
            climbing.train_whole(order[0])
            spent, row = climbing.run(order[1:])
        if spent <= budget or class_epochs < budget / 4:
            return spent, row
        class_epochs *= 0.98 * budget / spent


class _Climbing:
    """One sweep. spent: in the unit of `costs`."""

    def __init__(
        self, table: Table, budget: float, workers: int, setting: Setting, limit: int, costs: Mapping[int, float]
    ) -> None:
        self.table, self.budget, self.workers, self.limit, self.costs = table, budget, workers, limit, costs
        self.rungs, self.reduction = rungs_of(table.classes, table.epochs, setting.parts), setting.reduction
        self.classes: list[int] = []
        self.whole: int | None = None
        self.spent = 0.0

    def train_whole(self, row: int) -> None:
        """Train a configuration on all classes, which says in what order they come."""
        last = np.nan_to_num(self.table.curves[row][-1])
        self.classes, self.whole = np.argsort(last, kind="stable").tolist(), row
        self.spent = self.table.classes * self.table.epochs * self._cost(self.table.classes)

    def run(self, order: Sequence[int]) -> tuple[float, int | None]:
        """Propose these until the budget is used; what it cost, and what is chosen."""
        left = self.budget - self.spent
        best = 1 if self.whole is None else 2  # one that was found by the ladder
        ladder, waiting = Ladder(self.rungs, self.reduction, left, best), list(order)
        if self.whole is not None:
            for rung in range(len(self.rungs)):
                self._reach(ladder, self.whole, rung)
                ladder.begin(self.whole, rung)
            ladder.spent = 0
        del waiting[affordable(self.rungs, self.reduction, left) :]
        running: list[tuple[float, int, int, tuple[int, ...]]] = []  # heap of (end, number, rung, rows)
        clock, numbers = 0.0, count()
        while True:
            while len(running) < self.workers and (begun := self._begin(ladder, waiting, len(running))):
                rung, rows, cost = begun
                self.spent += cost
                heapq.heappush(running, (clock + cost, next(numbers), rung, rows))
            if not running:
                return self.spent, next(iter(ladder.reached(len(self.rungs) - 1)), None)
            clock, _, rung, rows = heapq.heappop(running)
            for row in rows:
                self._reach(ladder, row, rung)

    def _begin(self, ladder: Ladder, waiting: list[int], running: int) -> tuple[int, tuple[int, ...], float] | None:
        """The next pack of a free slot: its rung, its rows, what it costs."""
        pack = ladder.next_pack(new=len(waiting), limit=self.limit, idle=self.workers - running, under_way=running > 0)
        if pack is None:
            return None
        rows = pack.configurations or tuple(waiting[: pack.new])
        for row in waiting[: pack.new]:
            ladder.begin(row)
        del waiting[: pack.new]
        members = len(rows) * members_on(self.rungs, pack.rung)
        return pack.rung, rows, len(rows) * added(self.rungs)[pack.rung] * self._cost(members)

    def _reach(self, ladder: Ladder, row: int, place: int) -> None:
        """A row's mean over a rung's classes; one that has diverged before reaches nothing."""
        rung, curve = self.rungs[place], self.table.curves[row]
        if len(curve) >= rung.epochs:
            value = float(curve[rung.epochs - 1, self.classes[: rung.classes]].mean())
            if np.isfinite(value):
                ladder.reach(row, place, value)

    def _cost(self, members: int) -> float:
        """Of an experiment's epoch in a pack of so many: that of the largest pack measured that is no larger."""
        return self.costs[max((size for size in self.costs if size <= members), default=min(self.costs))]
