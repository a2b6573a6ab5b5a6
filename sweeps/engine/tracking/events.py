"""Updates for MLflow: sweep run -> configuration run -> class run."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adcore.config import TrainConfig
from adcore.metric_names import class_metric, mean_metric, of_class
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.params import as_text

__all__ = ["SWEEP", "Tracking", "run_key"]

#: Key of the sweep's own run.
SWEEP = "sweep"
NO_TAGS: Mapping[str, str] = MappingProxyType({})
#: MLflow's status of a configuration or class run, by its state.
STATUS = {"complete": "FINISHED", "stopped": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


def run_key(stage: str, configuration: int, seed: int) -> str:
    """Key of a configuration's run in a stage."""
    return f"{stage}/{configuration}/{seed}"


class Tracking:
    """Turns the events of a sweep into updates of MLflow runs, in the outbox; called on the driver only, never waits.

    Repeated events, from a trial that resumes from its checkpoint or from a resumed sweep, change nothing.
    tags: of the sweep's run, besides those of every run.
    """

    def __init__(self, outbox: Outbox, plan: BasePlan, name: str, tags: Mapping[str, str] = NO_TAGS) -> None:
        self.outbox, self.plan, self.name, self.tags = outbox, plan, name, tags
        self.opened: set[str] = set()

    def open_sweep(self, stage: str) -> None:
        """Start the sweep's run, or continue it in another stage."""
        tags = {"level": "sweep", "stage": stage, "seed": str(self.plan.search_seed), "scale": self.plan.scale}
        tags |= self.tags
        params = as_text(self.plan.params()) if not self.opened else {}
        self.opened.add(SWEEP)
        self.outbox.put(RunUpdate(SWEEP, name=self.name, tags=tags, params=params, status="RUNNING"))

    def open_trial(self, stage: str, parts: Sequence[Part]) -> None:
        """Start the runs of each configuration that a trial trains, and of its classes."""
        with self.outbox.transaction():
            for part in parts:
                self._open_part(stage, part.configuration, part.config)

    def _open_part(self, stage: str, number: int, own: TrainConfig) -> None:
        key, name = run_key(stage, number, own.train_seed), self.plan.title(stage, number, own)
        tags = {"stage": stage, "seed": str(own.train_seed), "configuration": str(number), **self.plan.tags(number)}
        whole = dataclasses.asdict(own) | {"classes": self.plan.classes_of(number)}
        self._open(key, SWEEP, name, {**tags, "level": "config"}, whole)
        for index in own.classes:
            child = dataclasses.asdict(own) | {"classes": (index,)}
            self._open(f"{key}/{index}", key, f"{name} class {index}", {**tags, "level": "class"}, child)

    def epochs(self, stage: str, reported: Sequence[tuple[Part, Mapping[str, Any]]]) -> None:
        """Take in what the parts of a pack report after an epoch."""
        with self.outbox.transaction():
            for part, metrics in reported:
                self._epoch(stage, part, metrics)

    def _epoch(self, stage: str, part: Part, metrics: Mapping[str, Any]) -> None:
        own, number = part.config, part.configuration
        key, step, now = run_key(stage, number, own.train_seed), int(metrics["epoch"]), _now()
        speed = {"images_per_second": metrics["images_per_second"]}  # of the pack, whatever it trains
        found = {index: of_class(metrics, index) for index in own.classes}
        notes = {index: {str(index): _validation(each)} for index, each in found.items()}
        new = {i: each for i, each in found.items() if self.outbox.note(key, step, str(i), notes[i])}
        if not new:
            return
        for index, each in new.items():
            self._log(f"{key}/{index}", {**each, **speed}, step, now)
        mine = {class_metric("val_auroc", index): each["val_auroc"] for index, each in new.items()}
        seen = self.outbox.noted(key, step)  # by other packs, too
        if len(seen) == len(self.plan.classes_of(number)):
            mine |= _over_classes(list(seen.values()))
            if step == own.epochs:
                mine["classes_done"] = len(seen)
        self._log(key, mine, step, now)

    def assessed(
        self,
        stage: str,
        configuration: int,
        seed: int,
        index: int,
        metrics: Mapping[str, float],
        artifacts: Sequence[Path],
    ) -> None:
        """Add a model's figures to the run of its class, once, however often this is called."""
        key = f"{run_key(stage, configuration, seed)}/{index}"
        with self.outbox.transaction():
            if self.outbox.note(key, 0, "assessed", {}):
                self._log(key, metrics, 0, _now())
                self.outbox.put(RunUpdate(key, artifacts=[str(path) for path in artifacts]))

    def climbed(
        self, stage: str, configuration: int, seed: int, *, rung: int, value: float, classes: Sequence[int]
    ) -> None:
        """A configuration has reached a rung, from 1 on. value: its mean AUROC over these classes."""
        key = run_key(stage, configuration, seed)
        with self.outbox.transaction():
            if self.outbox.note(key, rung, "rung", {}):
                self._log(key, {"rung": rung, "val_auroc_at_rung": value}, rung, _now())
                tags = {"rung": str(rung), "judged_on_classes": ",".join(map(str, classes))}
                self.outbox.put(RunUpdate(key, tags=tags))

    def close_configuration(self, stage: str, configuration: int, seed: int, state: str) -> None:
        """End a configuration's runs, those that exist; may be repeated.

        state: complete, stopped, diverged or failed.
        """
        key = run_key(stage, configuration, seed)
        names = [key, *(f"{key}/{index}" for index in self.plan.classes_of(configuration))]
        with self.outbox.transaction():
            for name in names:
                self.outbox.put(RunUpdate(name, tags={"state": state}, status=STATUS[state]))
        self.opened -= set(names)

    def close_sweep(self, state: str, metrics: Mapping[str, float], artifacts: list[Path], *, step: int = 0) -> None:
        """End the sweep's run with its figures, table, plots and the study; step: of the figures, each logged once."""
        update = RunUpdate(SWEEP, tags={"state": state}, status=STATUS[state])
        update.artifacts = [str(path) for path in artifacts]
        with self.outbox.transaction():
            if metrics and self.outbox.note(SWEEP, step, "final", {}):
                update.metrics = [(name, value, step, _now()) for name, value in metrics.items()]
            self.outbox.put(update)
        self.opened.discard(SWEEP)

    def interrupt(self) -> None:
        """Mark the runs that were under way; a resumed sweep continues them."""
        for key in sorted(self.opened):
            self.outbox.put(RunUpdate(key, tags={"state": "interrupted"}, status="KILLED"))

    def _open(self, key: str, parent: str, name: str, tags: dict[str, str], config: dict[str, Any]) -> None:
        if key in self.opened:
            return
        self.opened.add(key)
        update = RunUpdate(key, parent, name, {**tags, "state": "running"}, as_text(config), status="RUNNING")
        self.outbox.put(update)

    def _log(self, key: str, metrics: Mapping[str, float], step: int, now: int) -> None:
        self.outbox.put(RunUpdate(key, metrics=[(name, float(v), step, now) for name, v in metrics.items()]))


def _validation(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("val_")}


def _over_classes(seen: list[dict[str, float]]) -> dict[str, float]:
    """Every validation metric's mean over the classes, and AUROC's spread."""
    means = {mean_metric(name): math.fsum(each[name] for each in seen) / len(seen) for name in seen[0]}
    return means | {"val_auroc_std": _spread([each["val_auroc"] for each in seen])}


def _spread(values: list[float]) -> float:
    """Standard deviation over the classes; NaN if one of them is, 0 for a single class."""
    if len(values) < 2:
        return 0.0
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def _now() -> int:
    return int(time.time() * 1000)
