"""A sweep without its cluster: the record and a search, driven by hand as Tune would."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
from ray.tune.search import Searcher

from adcore.metric_names import LABELS
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.study import open_study
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.trial import Part, parts_of
from sweeps.gan_loss_weights import SPACE

optuna.logging.set_verbosity(optuna.logging.WARNING)

#: The metric of a configuration in a class after an epoch: of its number, class and epoch.
Quality = Callable[[int, int, int], float]


def level(number: int, index: int, epoch: int) -> float:
    """A quality: the higher a configuration's number the better, class 2 the hardest, with some ups and downs."""
    noise = random.Random(f"{number} {index} {epoch}").uniform(0, 0.004)
    return 0.9 + number / 1000 - 0.1 * (index == 2) + epoch / 1000 + noise


def small_plan(classes: tuple[int, ...] = (0,), *, configs: int = 6, epochs: int = 8) -> Plan:
    """A smoke plan on digits."""
    settings = SweepSettings(scale="smoke", normal_class=classes, configs=configs, epochs=epochs)
    return make_plan("gan_loss_weights", settings, SPACE)


def record_of(plan: Plan, *, path: Path | None = None) -> SweepRecord:
    """The record of a plan: in memory, or in a SQLite file that is opened again if there."""
    study = open_study(path, create=not path.exists()) if path else optuna.create_study(direction="maximize")
    return SweepRecord(study, plan, path=path or Path("study.db"))


class Sweep:
    """Calls a search as Ray's TuneController does, one event after another; the ladder of a record, if no other."""

    def __init__(
        self,
        record: SweepRecord,
        quality: Quality = lambda number, index, epoch: 0.5,
        *,
        search: PackSearcher | None = None,
        limit: int = 10,
        slots: int = 1,
    ) -> None:
        self.record, self.quality = record, quality
        self.search = search or LadderSearch("search", [record], limit=limit, slots=slots)
        self.started, self.images_per_second = 0, 100.0

    def start(self) -> SimpleNamespace | None:
        """The next trial, or None when there is none now."""
        name = f"trial-{self.started}"
        self.started += 1
        config = self.search.suggest(name)
        if config in (None, Searcher.FINISHED):
            return None
        return SimpleNamespace(trial_id=name, config=config, parts=parts_of(config))

    def report(self, trial: SimpleNamespace, epoch: int) -> dict[str, Any]:
        """Every part that has such an epoch reports it."""
        epochs = [metrics_of(part, epoch, self.quality) for part in trial.parts]
        result = {"metrics": json.dumps(epochs), "images_per_second": self.images_per_second}
        self.search.on_trial_result(trial.trial_id, result)
        return result

    def end(self, trial: SimpleNamespace, result: dict[str, Any] | None = None) -> None:
        """The trial has ended by itself."""
        self.search.on_trial_complete(trial.trial_id, result or {})

    def fail(self, trial: SimpleNamespace) -> None:
        """The trial has crashed more often than it may."""
        self.search.on_trial_complete(trial.trial_id, None, error=True)

    def train(self, trial: SimpleNamespace) -> None:
        """Report epoch after epoch, those in a checkpoint too, up to the end."""
        result = {}
        for epoch in range(1, trial.config["until"] + 1):
            result = self.report(trial, epoch)
        self.end(trial, result)

    def run(self, trials: int | None = None) -> list[SimpleNamespace]:
        """Train one trial after another until none is left, or so many; the trials."""
        found: list[SimpleNamespace] = []
        while (trials is None or len(found) < trials) and (trial := self.start()):
            self.train(trial)
            found.append(trial)
        return found


def metrics_of(part: Part, epoch: int, quality: Quality) -> dict[str, float]:
    """What training reports of a part after an epoch; the metrics that a sweep can be run for have the same values."""
    values = {index: quality(part.configuration, index, epoch) for index in part.config.classes}
    metrics = {f"val_{metric}_{index}": value for index, value in values.items() for metric in LABELS}
    return {"epoch": float(epoch), "images_per_second": 100.0, **metrics}


def searched(plan: Plan, quality: Quality, *, path: Path | None = None) -> SweepRecord:
    """The record of a search that has come to its end."""
    record = record_of(plan, path=path)
    Sweep(record, quality).run()
    return record


def complete(record: SweepRecord, *means: float) -> SweepRecord:
    """Configurations that were trained to the end on all classes, with these AUROCs in each."""
    top = len(record.ladder.rungs) - 1
    for number, mean in enumerate(means, record.first_number):
        record.propose(number)
        record.begin(number, top)
        record.finish_pack(top, {number: dict.fromkeys(record.plan.classes, [mean] * record.plan.search_config.epochs)})
    return record


def states_of(configurations: Sequence[Configuration]) -> list[str]:
    """How each has ended."""
    return [each.state for each in configurations]


def trial_of(record: SweepRecord, number: int) -> optuna.trial.FrozenTrial:
    """What the study itself holds of a configuration."""
    return record.study.get_trials()[number]
