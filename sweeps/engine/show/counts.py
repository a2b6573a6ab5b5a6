"""How many configurations a record holds, and the best so far; trainings in place of them for the baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from adcore.metric_names import goodness
from adcore.protocols.definitions import FOLDS
from sweeps.engine.planning.plan import NUMBERS_PER_CLASS
from sweeps.engine.show.record_file import RecordFile, Trial

__all__ = ["best_so_far", "confirmed_configurations", "counts", "fields_of", "is_table", "metric_of"]

STATES = ("running", "complete", "stopped", "diverged", "failed")


def is_table(plan: Mapping[str, Any]) -> bool:
    """Whether this is the plan of a table of baselines, which has no search."""
    return "space" not in plan


def counts(record: RecordFile) -> dict[str, Any]:
    """`of` (configurations or trainings), `planned`, `tried` (with a result on record), and a number for each state.

    With classes' own searches also `by_class`, the `planned` and `tried` of all of them.
    """
    plan, attributes = record.attributes["plan"], record.attributes
    if is_table(plan):
        done = sum(key.startswith("done_") for key in attributes)
        return {"of": "trainings", "planned": _trainings(plan), "tried": done, "complete": done}
    states = [trial.state for trial in record.trials]
    counts_by_name: dict[str, Any] = {"of": "configurations", "planned": plan["configs"]}
    if plan["space"]["ranges"]:
        counts_by_name |= {"tried": _tried(attributes)} | {state: states.count(state) for state in STATES}
        return counts_by_name | _by_class(record)
    done = sum(len(means) == plan["seeds"] for means in _confirmed_means(record).values())
    return counts_by_name | {"tried": done, "complete": done}


def _by_class(record: RecordFile) -> dict[str, Any]:
    """How many the classes' own searches have tried together, if each class has one."""
    plan = record.attributes["plan"]
    if plan.get("objective") != "per-class":
        return {}
    planned = plan["configs"] * len(plan["base"]["classes"])
    return {"by_class": {"planned": planned, "tried": sum(map(_tried, record.searches))}}


def _tried(search: Mapping[str, Any]) -> int:
    """Configurations of a search with a result on record. search: its attributes."""
    return len({number for pack in _packs(search) for number in pack["trained"]})


def best_so_far(record: RecordFile) -> dict[str, Any] | None:
    """The configuration with the best validation mean of the sweep's metric on the highest rung that any has reached.

    `classes` and `epochs` say what it is a mean over; None before the first result.
    """
    plan = record.attributes["plan"]
    if is_table(plan):
        return None
    curves: dict[int, dict[str, list[float]]] = {}
    rungs: dict[int, int] = {}
    for pack in _packs(record.attributes):
        for number, added in pack["trained"].items():
            for index, values in (added or {}).items():
                curves.setdefault(int(number), {}).setdefault(index, []).extend(values)
            if added:
                rungs[int(number)] = pack["rung"]
    finite = {n: r for n, r in rungs.items() if all(math.isfinite(values[-1]) for values in curves[n].values())}
    if not finite:
        return None
    highest = max(finite.values())
    candidates = [number for number, rung in finite.items() if rung == highest]
    # the first configuration may have trained classes that the rung does not ask for
    common = set.intersection(*(set(curves[number]) for number in candidates))
    epochs = plan["rungs"][highest][1]
    values = {number: fmean(curves[number][index][:epochs][-1] for index in common) for number in candidates}
    best = max(candidates, key=lambda number: (goodness(metric_of(plan), values[number]), -number))
    params = fields_of(plan, record.trials[best])
    return {
        "configuration": best,
        "name": _name(plan, params),
        "value": values[best],
        "classes": len(common),
        "epochs": epochs,
        "params": params,
    }


def confirmed_configurations(record: RecordFile) -> list[dict[str, Any]]:
    """Every configuration with a whole confirmation that did not diverge, best first: means over classes by seed.

    `confirm` is of validation, `test` of the same models on the test part; the latter is empty before it is opened.
    """
    plan = record.attributes["plan"]
    if is_table(plan):
        return []
    test = record.attributes.get("test")
    configurations: list[dict[str, Any]] = []
    for number, values in _confirmed_means(record).items():
        if not all(map(math.isfinite, values)):
            continue
        params = fields_of(plan, record.trials[number])
        description = {"configuration": number, "name": _name(plan, params), "params": params}
        configurations.append(
            {**description, "confirm": values, "test": _test_means(test, number, metric_of(plan)) if test else []}
        )
    best_first = partial(goodness, metric_of(plan))
    return sorted(configurations, key=lambda each: (-best_first(fmean(each["confirm"])), each["configuration"]))


def _confirmed_means(record: RecordFile) -> dict[int, list[float]]:
    """By configuration, its means over the classes, one for each fresh seed that is complete or has diverged (NaN)."""
    plan = record.attributes["plan"]
    classes = {str(index) for index in plan["base"]["classes"]}
    means: dict[int, list[float]] = {}
    for key in sorted(key for key in record.attributes if key.startswith("confirm_")):
        values, number = record.attributes[key], int(key.split("_")[1])
        is_own = plan.get("objective") == "per-class" and number >= NUMBERS_PER_CLASS  # of one class's search
        if not is_own and values.keys() >= classes:
            means.setdefault(number, []).append(fmean(values[index] for index in classes))
    return means


def metric_of(plan: Mapping[str, Any]) -> str:
    """The metric that a search is for; plans of earlier versions do not name it."""
    return plan.get("metric", "auroc")


def fields_of(plan: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    """The sampled fields of a configuration."""
    return trial.params if plan["space"]["ranges"] else plan["space"]["points"][trial.params["point"]]


def _test_means(test: Mapping[str, Any], number: int, metric: str) -> list[float]:
    pairs = zip(test["models"], test["measured"], strict=True)
    return [fmean(each[metric] for each in by_class.values()) for model, by_class in pairs if model[0] == number]


def _name(plan: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """The name of the point that a configuration is; empty for one that was sampled."""
    return next((name for name, point in plan["space"]["points"].items() if point == params), "")


def _packs(attributes: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    keys = sorted((key for key in attributes if key.startswith("pack_")), key=lambda key: int(key.split("_")[1]))
    return [attributes[key] for key in keys]


def _trainings(plan: Mapping[str, Any]) -> int:
    folds = {row: FOLDS if config["fold"] is not None else 1 for row, config in plan["configs"].items()}
    return sum(len(classes) * folds[row] for row, classes in plan["experiments"].items()) * plan["seeds"]
