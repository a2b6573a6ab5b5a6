"""The policies that are compared, each a searcher and a scheduler of Ray's interface, called as Tune would.

All take the configurations in the same order and replay the same curves; they differ in what a trial is and in what
ends it early.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import Any

import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Repeater, Searcher
from ray.tune.search.repeater import TRIAL_INDEX

from sweeps.engine.blocks import METRIC, BlockASHA, BlockSearch
from sweeps.engine.plan import Plan, groups_of
from sweeps.engine.record import SweepRecord

from .table import Table

__all__ = ["FUSED", "POLICIES", "Policy", "TableSearch", "Trial", "blocks"]

FUSED = "fused blocks"


@dataclasses.dataclass(frozen=True)
class Trial:
    """A Ray trial and what it replays: row of the table, columns of its classes."""

    ray: Any
    row: int
    classes: tuple[int, ...]


class Policy:
    """Drives a searcher and a scheduler by hand: start, report, report, ... until report returns False."""

    def __init__(self, table: Table, search: Searcher, scheduler: FIFOScheduler) -> None:
        self.table, self.search = table, search
        self.scheduler: Any = scheduler  # driven with stand-ins for Ray's controller and trials
        self.started = 0

    def start(self) -> Trial | None:
        """The next trial, or None when all are out."""
        name = f"trial-{self.started}"
        config: Any = self.search.suggest(name)
        if config in (None, Searcher.FINISHED):
            return None
        self.started += 1
        ray = SimpleNamespace(trial_id=name, config=config)
        self.scheduler.on_trial_add(None, ray)
        classes = (config[TRIAL_INDEX],) if TRIAL_INDEX in config else config["classes"]
        return Trial(ray, self.table.row(config), classes)

    def report(self, trial: Trial, epoch: int) -> bool:
        """Report an epoch's recorded AUROCs; whether the trial goes on to the next epoch."""
        curve = self.table.curves[trial.row]
        values = {index: float(curve[epoch - 1, index]) for index in trial.classes}
        result: dict[str, Any] = {f"val_auroc_{index}": value for index, value in values.items()}
        result |= {"epoch": epoch, METRIC: sum(values.values()) / len(values)}
        decision = self.scheduler.on_trial_result(None, trial.ray, result)
        if decision == TrialScheduler.CONTINUE and epoch < len(curve):
            return True
        self.scheduler.on_trial_complete(None, trial.ray, result)
        self.search.on_trial_complete(trial.ray.trial_id, result)
        return False


class TableSearch(Searcher):
    """Hands out the configurations in a given order, each as one trial per group of classes."""

    def __init__(self, table: Table, order: Sequence[int], size: int) -> None:
        super().__init__(metric=METRIC, mode="max")
        groups = groups_of(tuple(range(table.classes)), size)
        self.waiting = iter([{**table.params[row], "classes": group} for row in order for group in groups])

    def suggest(self, trial_id: str) -> Any:
        return next(self.waiting, Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the order does not depend on results."""


def no_stopping(table: Table, plan: Plan, order: Sequence[int]) -> Policy:
    """A configuration is one trial and runs to its last epoch."""
    return Policy(table, TableSearch(table, order, table.classes), FIFOScheduler())


def repeater(table: Table, plan: Plan, order: Sequence[int]) -> Policy:
    """Ray's Repeater: a configuration is repeated, the index of the repeat is the class; all run to the last epoch."""
    search = Repeater(TableSearch(table, order, table.classes), repeat=table.classes)
    return Policy(table, search, FIFOScheduler())


def asha_over_trials(table: Table, plan: Plan, order: Sequence[int]) -> Policy:
    """Ray's ASHA as it is, over (configuration, class) trials of all classes together; rungs as the plan's."""
    scheduler = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric=METRIC,
        mode="max",
        max_t=table.epochs,
        grace_period=plan.grace,
        reduction_factor=plan.reduction,
    )
    return Policy(table, TableSearch(table, order, 1), scheduler)


def blocks(table: Table, plan: Plan, order: Sequence[int], *, size: int | None = None) -> Policy:
    """BlockSearch and BlockASHA with `size` members per trial, all of them if None.

    The study's queue is filled here with the same call as SweepRecord's, but for its search for doubles, which takes
    longer than a simulation; so the plan's space names no points. The queue holds every configuration of the sweep, so
    no sampler is ever asked, and none is made.
    """
    study = optuna.create_study(direction="maximize")
    for row in order:
        study.enqueue_trial(table.params[row])
    plan = dataclasses.replace(plan, space=dataclasses.replace(plan.space, points={}))
    record = SweepRecord(study, plan, groups_of(plan.classes, size or table.classes))
    record._seed_sampler = lambda number: None
    return Policy(table, BlockSearch(record), BlockASHA(record))


#: Makes a policy for the configurations of a table, which it takes in the given order of rows.
Builder = Callable[[Table, Plan, Sequence[int]], Policy]

POLICIES: Mapping[str, Builder] = MappingProxyType(
    {
        FUSED: blocks,
        "no stopping": no_stopping,
        "Repeater": repeater,
        "ASHA over trials": asha_over_trials,
        "split blocks, 1 class": partial(blocks, size=1),
        "split blocks, 5 classes": partial(blocks, size=5),
    }
)
