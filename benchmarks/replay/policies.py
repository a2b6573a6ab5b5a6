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

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Repeater, Searcher
from ray.tune.search.repeater import TRIAL_INDEX

from .table import Table

__all__ = ["POLICIES", "Policy", "TableSearch", "Trial"]

#: What ASHA compares: the mean AUROC over a trial's classes.
METRIC = "val_auroc_mean"
#: ASHA's first rung, as a part of the epochs, and of how many one goes on: the best of a grid on the first table
#: (fashion_mnist), for all tables. The ladder is chosen anew for each table, on the others.
GRACE, REDUCTION = 3 / 8, 3


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
    """Hands out the configurations in a given order, each as one trial, or as one per class."""

    def __init__(self, table: Table, order: Sequence[int], *, by_class: bool = False) -> None:
        super().__init__(metric=METRIC, mode="max")
        classes = tuple(range(table.classes))
        groups = [(index,) for index in classes] if by_class else [classes]
        self.waiting = iter([{**table.params[row], "classes": group} for row in order for group in groups])

    def suggest(self, trial_id: str) -> Any:
        return next(self.waiting, Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the order does not depend on results."""


def no_stopping(table: Table, order: Sequence[int]) -> Policy:
    """A configuration is one trial and runs to its last epoch."""
    return Policy(table, TableSearch(table, order), FIFOScheduler())


def repeater(table: Table, order: Sequence[int]) -> Policy:
    """Ray's Repeater: a configuration is repeated, the index of the repeat is the class; all run to the last epoch."""
    search = Repeater(TableSearch(table, order), repeat=table.classes)
    return Policy(table, search, FIFOScheduler())


def asha(table: Table, order: Sequence[int], *, by_class: bool) -> Policy:
    """Ray's ASHA as it is, over (configuration, class) trials of all classes together, or over whole configurations."""
    grace = max(1, round(GRACE * table.epochs))
    scheduler = AsyncHyperBandScheduler(
        time_attr="epoch", metric=METRIC, mode="max", max_t=table.epochs, grace_period=grace, reduction_factor=REDUCTION
    )
    return Policy(table, TableSearch(table, order, by_class=by_class), scheduler)


#: Makes a policy for the configurations of a table, which it takes in the given order of rows.
Builder = Callable[[Table, Sequence[int]], Policy]

POLICIES: Mapping[str, Builder] = MappingProxyType(
    {
        "no stopping": no_stopping,
        "Repeater": repeater,
        "ASHA over configurations": partial(asha, by_class=False),
        "ASHA over trials": partial(asha, by_class=True),
    }
)
