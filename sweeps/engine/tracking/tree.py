"""The runs of a configuration in MLflow's tree: itself, each of its seeds if there are several, each of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adcore.datasets import describe
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.planning.labels import class_label
from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.keys import SWEEP, config_key, run_key
from sweeps.engine.tracking.outbox import RunUpdate
from sweeps.engine.tracking.params import as_text, run_params

__all__ = ["runs_of"]


def runs_of(part: Part, plan: BasePlan, sweep: str, stage: str, *, with_classes: bool) -> Iterator[RunUpdate]:
    """The runs of a part as they begin, parents first. sweep: its name. with_classes: also those of its classes."""
    config, number = part.config, part.configuration
    seeds, seed = plan.seeds_of(stage), config.train_seed
    key, parent = run_key(stage, number, seed), config_key(stage, number, seeds, seed)
    short = sweep.removeprefix(f"{plan.script}-")  # a sweep that was given no name has its script's, as the experiment
    name = f"{short} · {plan.title(stage, number, config)}"
    tags = {"stage": stage, "configuration": str(number), "sweep": sweep, **plan.tags(number)}
    params = run_params(config) | {"classes": plan.classes_of(number)}
    if parent != key:
        shared = {field: value for field, value in params.items() if field != "train_seed"}
        yield _new_run(parent, SWEEP, name, {**tags, "level": "config"}, shared)
        name = f"{name} · seed {seed}"
    tags["seed"] = str(seed)
    level, parent_key = ("config", SWEEP) if parent == key else ("seed", parent)
    yield _new_run(key, parent_key, name, {**tags, "level": level}, params)
    names = describe(config.dataset).class_names
    for index in config.classes if with_classes else ():
        child = f"{name} · class {class_label(names, index)}"
        yield _new_run(f"{key}/{index}", key, child, {**tags, "level": "class"}, params | {"classes": (index,)})


def _new_run(key: str, parent: str, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> RunUpdate:
    return RunUpdate(key, parent, name, {**tags, "state": "running"}, as_text(params), status="RUNNING")
