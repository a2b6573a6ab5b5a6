"""Updates for MLflow: sweep run -> configuration run -> run of each seed, if there are several -> class run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adcore.metric_names import class_metric, of_class
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.planning.settings import LEVELS
from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.keys import SWEEP, config_key, run_key
from sweeps.engine.tracking.means import of_validation, over_classes, over_seeds
from sweeps.engine.tracking.outbox import DataInput, ModelFolder, Outbox, RunUpdate
from sweeps.engine.tracking.params import as_text
from sweeps.engine.tracking.tree import runs_of

__all__ = ["Tracking"]

NO_TAGS: Mapping[str, str] = MappingProxyType({})
#: MLflow's status of a run, by its state.
STATUS = {"complete": "FINISHED", "stopped": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


class Tracking:
    """Turns the events of a sweep into updates of MLflow runs, in the outbox; called on the driver only, never waits.

    Repeated events, from a trial that resumes from its checkpoint or from a resumed sweep, change nothing.
    tags: of the sweep's run, besides those of every run. inputs: the data that the sweep reads. level: down to which
    one of LEVELS the search's trainings have runs; those of other stages have all.
    """

    def __init__(self, outbox: Outbox, plan: BasePlan, name: str, tags: Mapping[str, str] = NO_TAGS) -> None:
        self.outbox, self.plan, self.name, self.tags = outbox, plan, name, tags
        self.inputs: list[DataInput] = []
        self.level = LEVELS[-1]
        self.open_runs: set[str] = set()
        self.earlier_runs = outbox.run_keys()

    def open_sweep(self, stage: str) -> None:
        """Start the sweep's run, or continue it in another stage."""
        tags = {"level": "sweep", "stage": stage, "seed": str(self.plan.search_seed), "scale": self.plan.scale}
        update = RunUpdate(SWEEP, name=self.name, tags={**tags, "sweep": self.name, **self.tags}, status="RUNNING")
        update.inputs = [dataclasses.asdict(each) for each in self.inputs]
        if not self.open_runs:
            update.params, update.columns = as_text(self.plan.params()), list(self.plan.columns)
            update.metric = self.plan.metric
        self.open_runs.add(SWEEP)
        self.outbox.put(update)

    def open_trial(self, stage: str, parts: Sequence[Part]) -> None:
        """Start the runs of each configuration that a trial trains, and of its seeds and classes."""
        with self.outbox.transaction():
            for part in parts:
                self._open_part(stage, part)

    def _open_part(self, stage: str, part: Part) -> None:
        key, with_classes = run_key(stage, part.configuration, part.config.train_seed), self._has(stage, "class")
        children = [f"{key}/{index}" for index in part.config.classes if with_classes]
        if not self._has(stage, "config") or self.open_runs.issuperset([key, *children]):
            return
        for update in runs_of(part, self.plan, self.name, stage, with_classes=with_classes):
            if update.key not in self.open_runs:
                self.open_runs.add(update.key)
                self.outbox.put(update)

    def log_epochs(self, stage: str, reported: Sequence[tuple[Part, Mapping[str, Any]]]) -> None:
        """Take in what the parts of a pack report after an epoch."""
        if not self._has(stage, "config"):
            return
        with self.outbox.transaction():
            for part, metrics in reported:
                self._log_epoch(stage, part, metrics)

    def _log_epoch(self, stage: str, part: Part, metrics: Mapping[str, Any]) -> None:
        config, number = part.config, part.configuration
        key, step, time_ms = run_key(stage, number, config.train_seed), int(metrics["epoch"]), _time_ms()
        speed = {"images_per_second": metrics["images_per_second"]}  # of the pack, whatever it trains
        by_class = {index: of_class(metrics, index) for index in config.classes}
        notes = {index: {str(index): of_validation(by_class[index])} for index in by_class}
        new = {i: by_class[i] for i in by_class if self.outbox.note(key, step, str(i), notes[i])}
        if not new:
            return
        for index, metrics_of_class in new.items() if self._has(stage, "class") else ():
            self._log(f"{key}/{index}", {**metrics_of_class, **speed}, step, time_ms)
        own_metric = f"val_{self.plan.metric}"
        run_metrics = {class_metric(own_metric, index): new[index][own_metric] for index in new}
        noted_classes = self.outbox.noted_values(key, step)  # by other packs, too
        if len(noted_classes) == len(self.plan.classes_of(number)):
            means = over_classes(list(noted_classes.values()), self.plan.metric)
            run_metrics |= means
            self._log_seed_means(stage, number, config.train_seed, means, step, time_ms)
        self._log(key, run_metrics, step, time_ms)

    def _log_seed_means(
        self, stage: str, number: int, seed: int, means: Mapping[str, float], step: int, time_ms: int
    ) -> None:
        """Log the means of an epoch over all seeds, once the last one is there."""
        seeds = self.plan.seeds_of(stage)
        if len(seeds) < 2:
            return
        key = config_key(stage, number, seeds, seed)
        self.outbox.note(key, step, str(seed), {str(seed): dict(means)})
        seed_means = list(self.outbox.noted_values(key, step).values())
        if len(seed_means) == len(seeds):
            self._log(key, over_seeds(seed_means, self.plan.metric), step, time_ms)

    def log_assessment(
        self, stage: str, configuration: int, seed: int, index: int, metrics: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        """Add a model's figures to the run of its class, once, however often this is called."""
        key = f"{run_key(stage, configuration, seed)}/{index}"
        with self.outbox.transaction():
            if self.outbox.note(key, 0, "assessed", {}):
                self._log(key, metrics, 0, _time_ms())
                self.outbox.put(RunUpdate(key, artifacts=[str(path) for path in files]))

    def register_model(self, configuration: int, model: ModelFolder, *, opening: int = 0) -> None:
        """Log the winner's model with the sweep's run, and register it; once for each opening of the test part."""
        with self.outbox.transaction():
            if self.outbox.note(SWEEP, opening, f"registered {configuration}", {}):
                self.outbox.put(RunUpdate(SWEEP, model=model))

    def log_rung(
        self, stage: str, configuration: int, seed: int, *, rung: int, value: float, classes: Sequence[int]
    ) -> None:
        """A configuration has reached a rung, from 1 on. value: the metric's mean over these classes."""
        key = run_key(stage, configuration, seed)
        if not self._has(stage, "config"):
            return
        with self.outbox.transaction():
            if self.outbox.note(key, rung, "rung", {}):
                self._log(key, {"rung": rung, f"val_{self.plan.metric}_at_rung": value}, rung, _time_ms())
                tags = {"rung": str(rung), "judged_on_classes": ",".join(map(str, classes))}
                self.outbox.put(RunUpdate(key, tags=tags))

    def close_configuration(self, stage: str, configuration: int, seed: int, state: str) -> None:
        """End a configuration's runs, those that exist; may be repeated.

        seed: of one of its trainings. state: complete, stopped, diverged or failed.
        """
        key = run_key(stage, configuration, seed)
        levels = {key: "config", **{f"{key}/{i}": "class" for i in self.plan.classes_of(configuration)}}
        names = [name for name, level in levels.items() if self._has(stage, level) or name in self.earlier_runs]
        seeds = self.plan.seeds_of(stage)
        with self.outbox.transaction():
            if state == "diverged" and len(seeds) > 1:
                self.outbox.note(config_key(stage, configuration, seeds, seed), 0, state, {state: {}})
            for name in names:
                self.outbox.put(RunUpdate(name, tags={"state": state}, status=STATUS[state]))
        self.open_runs -= set(names)

    def close_confirmed(self, stage: str, configuration: int, metrics: Mapping[str, float], *, opening: int) -> None:
        """End the run of a configuration whose seeds are all complete, which may be their parent.

        metrics: of the test part, logged once per opening of it.
        """
        seeds = self.plan.seeds_of(stage)
        key = config_key(stage, configuration, seeds, next(iter(seeds)))
        with self.outbox.transaction():
            if metrics and self.outbox.note(key, opening, "tested", {}):
                self._log(key, metrics, opening, _time_ms())
            self._end(key, "complete")

    def close_sweep(
        self, state: str, metrics: Mapping[str, float], artifacts: list[Path], *, step: int = 0,
        params: Mapping[str, Any] = NO_TAGS, tags: Mapping[str, str] = NO_TAGS,
    ) -> None:  # fmt: skip
        """End the sweep's run with its figures, table, plots and the study; step: of the metrics, each logged once."""
        update = RunUpdate(SWEEP, tags={"state": state, **tags}, params=as_text(params), status=STATUS[state])
        update.artifacts = [str(path) for path in artifacts]
        with self.outbox.transaction():
            if metrics and self.outbox.note(SWEEP, step, "final", {}):
                update.metrics = [(name, value, step, _time_ms()) for name, value in metrics.items()]
            self.outbox.put(update)
            # configurations whose seeds did not all end well, or that were confirmed and not chosen
            for key in sorted(self.open_runs.union(self._earlier_parents()) - {SWEEP}):
                self._end(key, "diverged" if "diverged" in self.outbox.noted_values(key, 0) else state)
        self.open_runs.clear()

    def log_system_metrics(self, metrics: Mapping[str, float], second: int) -> None:
        """Log the use of the driver's machine with the sweep's run. second: since the first sample, the step."""
        self._log(SWEEP, metrics, second, _time_ms())

    def add_files(self, paths: Sequence[Path]) -> None:
        """Add files to the sweep's run, whether it has ended or not."""
        self.outbox.put(RunUpdate(SWEEP, artifacts=[str(path) for path in paths]))

    def interrupt(self) -> None:
        """Mark the runs that were under way; a resumed sweep continues them."""
        with self.outbox.transaction():  # there may be thousands
            for key in sorted(self.open_runs):
                self.outbox.put(RunUpdate(key, tags={"state": "interrupted"}, status="KILLED"))

    def _earlier_parents(self) -> Iterator[str]:
        """The runs above several seeds that an earlier session began and none has ended as complete."""
        parents = (key for key in self.earlier_runs if key.count("/") == 1)
        return (key for key in parents if "complete" not in self.outbox.noted_values(key, 0))

    def _end(self, key: str, state: str) -> None:
        """End a configuration's own run; no later session changes that it is complete."""
        if state == "complete":
            self.outbox.note(key, 0, state, {state: {}})
        self.outbox.put(RunUpdate(key, tags={"state": state}, status=STATUS[state]))
        self.open_runs.discard(key)

    def _has(self, stage: str, level: str) -> bool:
        """Whether trainings of a stage have runs at a level."""
        return "search" not in stage or LEVELS.index(level) <= LEVELS.index(self.level)

    def _log(self, key: str, metrics: Mapping[str, float], step: int, time_ms: int) -> None:
        self.outbox.put(RunUpdate(key, metrics=[(name, float(v), step, time_ms) for name, v in metrics.items()]))


def _time_ms() -> int:
    return int(time.time() * 1000)
