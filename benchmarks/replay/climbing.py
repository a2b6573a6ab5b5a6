"""The ladder over a table, in simulated time: its own code decides, recorded curves answer."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np

from adcore.datasets import DATASETS
from sweeps.engine.planning.ladder import Ladder
from sweeps.engine.planning.rungs import REDUCTION, RUNG_SHARES, SPARE, affordable_count, budget_for, rungs_of
from sweeps.engine.planning.settings import SCALES

from .table import Table

__all__ = ["CLASS_EPOCHS", "Setting", "climb"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A ladder: its rungs as parts of classes and epochs, of how many configurations one goes up, and what there is
    for promotions over what they cost."""

    parts: tuple[tuple[float, float], ...] = RUNG_SHARES
    reduction: int = REDUCTION
    spare: float = SPARE


#: Cost of an experiment's epoch in a pack of so many, in a unit of one's own; here each costs the same.
CLASS_EPOCHS: Mapping[int, float] = {1: 1.0}
#: Configurations that are complete in the end, at the least: those that are confirmed, and the default.
COMPLETE = SCALES["laptop"].best + 1


def climb(
    table: Table,
    order: Sequence[int],
    budget: float | None,
    *,
    workers: int,
    setting: Setting,
    limit: int = 1,
    costs: Mapping[int, float] = CLASS_EPOCHS,
) -> tuple[float, int | None]:
    """What a sweep of this budget costs, and the row that it chooses; None if nothing was complete within the budget.

    As many configurations are proposed, in this order, as the budget is for; without a budget all of them, as a sweep
    of so many configurations does. limit: experiments in a pack. Where the order of the classes is not known, the first
    configuration trains all of them on the lowest rung: the one with the lowest AUROC comes first.
    """
    if budget is None:
        rungs = rungs_of(table.classes, table.epochs, setting.parts)
        whole = (
            budget_for(rungs, setting.reduction, len(order), COMPLETE, setting.spare) + rungs[0].epochs * table.classes
        )
        return _Climbing(table, whole, workers, setting, limit, costs).run(order)
    class_epochs = budget  # as many as the budget pays for, which the packs that come about decide
    while True:
        spent, row = _Climbing(table, class_epochs, workers, setting, limit, costs).run(order)
        if spent <= budget:
            return spent, row
        if class_epochs < budget / 4:  # even the smallest sweep costs more: no answer for this budget
            return spent, None
        class_epochs *= 0.98 * budget / spent


class _Climbing:
    """One sweep. spent: in the unit of `costs`. classes: in their order, empty until it is known."""

    def __init__(
        self, table: Table, budget: float, workers: int, setting: Setting, limit: int, costs: Mapping[int, float]
    ) -> None:
        self.table, self.budget, self.workers, self.limit, self.costs = table, budget, workers, limit, costs
        self.rungs, self.setting = rungs_of(table.classes, table.epochs, setting.parts), setting
        known = DATASETS[table.dataset].hardest_first if table.dataset in DATASETS else None
        self.classes = list(known) if known and len(known) == table.classes else []
        self.trained: dict[tuple[int, int], int] = {}  # epochs, by row and class
        self.spent = 0.0

    def run(self, order: Sequence[int]) -> tuple[float, int | None]:
        """Propose these until the budget is used; what it cost, and what is chosen."""
        finding = 0 if self.classes else (self.table.classes - self.rungs[0].classes) * self.rungs[0].epochs
        left, terms = self.budget - finding, (self.rungs, self.setting.reduction)
        best = min(COMPLETE, len(order)) if budget_for(*terms, COMPLETE, COMPLETE, self.setting.spare) <= left else 1
        proposed = affordable_count(self.rungs, self.setting.reduction, left, best, self.setting.spare)
        ladder, waiting = Ladder(self.rungs, self.setting.reduction, self.budget, best), list(order[:proposed])
        running: list[tuple[float, int, int, tuple[int, ...]]] = []  # heap of (end, number, rung, rows)
        clock, numbers = 0.0, count()
        while True:
            while len(running) < self.workers and (begun := self._begin(ladder, waiting, len(running), finding)):
                rung, rows, cost = begun
                self.spent += cost
                heapq.heappush(running, (clock + cost, next(numbers), rung, rows))
            if not running:
                return self.spent, next(iter(ladder.ranking(len(self.rungs) - 1)), None)
            clock, _, rung, rows = heapq.heappop(running)
            for row in rows:
                self._reach(ladder, row, rung)

    def _begin(
        self, ladder: Ladder, waiting: list[int], running: int, finding: int
    ) -> tuple[int, tuple[int, ...], float] | None:
        """The next pack of a free slot: its rung, its rows, what it costs."""
        if not self.classes:
            if running or not waiting:
                return None
            ladder.begin(waiting[0])
            ladder.spent += finding
            return 0, (waiting[0],), self._train(0, [waiting.pop(0)])
        pack = ladder.next_pack(
            new=len(waiting), max_new=self.limit, limit=self.limit, idle=self.workers - running, under_way=running
        )
        if pack is None:
            return None
        rows = pack.configurations or tuple(waiting[: pack.new])
        for row in waiting[: pack.new]:
            ladder.begin(row)
        del waiting[: pack.new]
        return pack.rung, rows, self._train(pack.rung, rows)

    def _train(self, place: int, rows: Sequence[int]) -> float:
        """What it costs to bring these rows to a rung: nothing for what they have trained before."""
        rung, epochs, members = self.rungs[place], 0, 0
        for row in rows:
            for index in self.classes[: rung.classes] or range(self.table.classes):
                more = rung.epochs - self.trained.get((row, index), 0)
                self.trained[row, index] = rung.epochs
                epochs, members = epochs + more, members + (more > 0)
        return epochs * self._cost(max(1, members))

    def _reach(self, ladder: Ladder, row: int, place: int) -> None:
        """A row's mean over a rung's classes; one that has diverged before reaches nothing."""
        rung, curve = self.rungs[place], self.table.curves[row]
        if len(curve) < rung.epochs:
            return
        if not self.classes and np.isfinite(curve[rung.epochs - 1]).all():
            self.classes = np.argsort(curve[rung.epochs - 1], kind="stable").tolist()
        value = float(curve[rung.epochs - 1, self.classes[: rung.classes]].mean()) if self.classes else np.nan
        if np.isfinite(value):
            ladder.reach(row, place, value)

    def _cost(self, members: int) -> float:
        """Of an experiment's epoch in a pack of so many: that of the largest pack measured that is no larger."""
        return self.costs[max((size for size in self.costs if size <= members), default=min(self.costs))]
