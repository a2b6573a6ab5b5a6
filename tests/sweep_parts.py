"""A sweep without its cluster: the record, the search and the scheduler, driven by hand as Tune would."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from sweeps.engine.blocks import BlockASHA, BlockSearch
from sweeps.engine.plan import Plan, groups_of, make_plan
from sweeps.engine.record import SweepRecord, open_study
from sweeps.engine.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE

optuna.logging.set_verbosity(optuna.logging.WARNING)


def small_plan(
    classes: tuple[int, ...] = (0,), *, configs: int = 6, epochs: int = 9, grace: int = 1, reduction: int = 3
) -> Plan:
    """A smoke plan on digits with rungs of the test's own choice."""
    settings = SweepSettings(scale="smoke", normal_class=classes, configs=configs, epochs=epochs)
    plan = make_plan("gan_loss_weights", settings, SPACE)
    return dataclasses.replace(plan, grace=grace, reduction=reduction)


def record_of(plan: Plan, *, size: int | None = None, path: Path | None = None) -> SweepRecord:
    """The record of a plan, `size` members per trial: in memory, or in a SQLite file that is opened again if there."""
    study = open_study(path, create=not path.exists()) if path else optuna.create_study(direction="maximize")
    return SweepRecord(study, plan, groups_of(plan.classes, size or len(plan.classes)))


class Sweep:
    """Calls search and scheduler as Ray's TuneController does, one event after another."""

    def __init__(self, record: SweepRecord) -> None:
        self.record, self.search, self.asha = record, BlockSearch(record), BlockASHA(record)
        self.started = 0

    def start(self) -> SimpleNamespace | None:
        """The next trial, or None when all are out."""
        name = f"trial-{self.started}"
        self.started += 1
        config = self.search.suggest(name)
        if config in (None, Searcher.FINISHED):
            return None
        return SimpleNamespace(trial_id=name, config=config)

    def report(self, trial: SimpleNamespace, epoch: int, *values: float) -> bool:
        """An epoch's AUROCs, one per class of the trial; whether the trial goes on."""
        classes = trial.config["classes"]
        result: dict[str, Any] = {f"val_auroc_{i}": v for i, v in zip(classes, values, strict=True)}
        result |= {"epoch": float(epoch), "val_auroc_mean": sum(values) / len(values)}
        if self.asha.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE:
            return True
        self.end(trial, result)
        return False

    def end(self, trial: SimpleNamespace, result: dict[str, Any] | None = None) -> None:
        """The trial has ended, by itself or stopped."""
        self.search.on_trial_complete(trial.trial_id, result or {"done": True})

    def fail(self, trial: SimpleNamespace) -> None:
        """The trial has crashed more often than it may."""
        owner = self.search if isinstance(self.search, BlockSearch) else self.search.owners[trial.trial_id]
        owner.tried.add(owner.jobs[trial.trial_id])
        self.search.on_trial_complete(trial.trial_id, None, error=True)

    def train(self, trial: SimpleNamespace, *values: float) -> bool:
        """Report the same values epoch after epoch up to the end; whether it got there."""
        epochs = self.record.plan.searched.epochs
        if all(self.report(trial, epoch, *values) for epoch in range(1, epochs + 1)):
            self.end(trial)
            return True
        return False


def trial_of(record: SweepRecord, number: int) -> optuna.trial.FrozenTrial:
    """What the study itself holds of a configuration."""
    return record.study.get_trials()[number]
