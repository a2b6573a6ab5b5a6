"""What proposals are worth: Optuna's samplers on a surrogate of the table, in whole ladder searches.

A surrogate's configurations can be proposed at will, which a table's cannot.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from multiprocessing.pool import Pool
from types import MappingProxyType
from typing import Any
from unittest import mock

import numpy as np
import optuna

from sweeps.engine.planning import proposals
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.predicted import predicted_means
from sweeps.engine.planning.samplers import NEEDED, SAMPLERS
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.search.trial import parts_of
from sweeps.gan_loss_weights import SPACE

from .intervals import mean
from .surrogate import ClassSurrogates, fit_surrogates
from .table import Table

__all__ = ["compare_samplers"]

#: Seeds; of the samplers that take long to propose, fewer (docs/results/search.json is of a run with 6 of gp).
REPETITIONS = {"tpe": 20, "random": 20, "gp": 4}
#: Configurations of a ladder search, and of a search without stopping for the same cost.
CONFIGS = 48
#: A pack of new configurations: they are proposed without a result of each other.
MEMBERS = 4
LEARNS_FROM: Mapping[str, Callable[..., list[float | None]]] = MappingProxyType(
    {
        "predicted means": predicted_means,
        "complete ones alone": lambda curves, classes, epochs: [
            each if each is not None and len(own) == classes and min(map(len, own.values())) == epochs else None
            for own, each in zip(curves, predicted_means(curves, classes, epochs), strict=True)
        ],
    }
)


def compare_samplers(pool: Pool, table: Table, seed: int) -> dict[str, Any]:
    """By sampler and what it learns from: the regret of a ladder search, AUROC, over so many seeds.

    The space's own points are left out: the default is among the best of the table and would hide what a sampler adds.
    Regret: the surrogate's best of a dense sample less the chosen configuration's mean; it may be negative.
    """
    surrogates, quality = fit_surrogates(table)
    best = surrogates.best()
    absent = [name for name, package in NEEDED.items() if importlib.util.find_spec(package) is None]
    names = [name for name in SAMPLERS if name not in absent]
    jobs = [
        (name, told, number)
        for name, told in product(names, LEARNS_FROM)
        for number in range(seed, seed + REPETITIONS.get(name, 4))
    ]
    jobs.sort(key=lambda job: REPETITIONS.get(job[0], 4))  # the slow ones first, so that no process waits at the end
    found = pool.map(partial(_chosen, surrogates), jobs, chunksize=1)
    regrets = {
        (name, told): best
        - np.array([value for value, job in zip(found, jobs, strict=True) if job[:2] == (name, told)])
        for name, told in product(names, LEARNS_FROM)
    }
    return {
        "surrogate": surrogates.name,
        "cross-validation": quality,
        "best": best,
        "configurations": CONFIGS,
        "repetitions": {name: len(regrets[name, "predicted means"]) for name in names},
        "regret": {name: {told: _estimate(regrets[name, told]) for told in LEARNS_FROM} for name in names},
        "gain": {
            name: _estimate(regrets[name, "complete ones alone"] - regrets[name, "predicted means"]) for name in names
        },
        "less than random": {
            name: _estimate(regrets["random", "predicted means"][: len(own)] - own)
            for name in names
            for own in [regrets[name, "predicted means"]]
        },
        "absent": absent,
    }


def _estimate(values: np.ndarray) -> dict[str, float]:
    return dataclasses.asdict(mean(values.tolist()))


def _chosen(surrogates: ClassSurrogates, job: tuple[str, str, int]) -> float:
    """The surrogate's mean of what a ladder search chooses."""
    sampler, told, seed = job
    plan = _plan(sampler, seed, surrogates)
    record = SweepRecord(optuna.create_study(direction="maximize"), plan)
    with mock.patch.object(proposals, "predicted_means", LEARNS_FROM[told]):
        _search(record, surrogates)
    return surrogates.mean(record.best(1)[0].params)


def _search(record: SweepRecord, surrogates: ClassSurrogates) -> None:
    """A whole search, one pack at a time, as Tune would drive it."""
    search = LadderSearch("search", [record], limit=MEMBERS, slots=1)
    while isinstance(config := search.suggest("trial"), Mapping):
        for epoch in range(1, config["until"] + 1):
            reports = [
                _report(surrogates, dataclasses.asdict(part.config), part.config.classes, epoch)
                for part in parts_of(config)
            ]
            search.on_trial_result("trial", {"metrics": json.dumps(reports)})
        search.on_trial_complete("trial", {})


def _report(
    surrogates: ClassSurrogates, params: Mapping[str, float], classes: Sequence[int], epoch: int
) -> dict[str, float]:
    return {"epoch": epoch, **{f"val_auroc_{index}": surrogates(params, index, epoch) for index in classes}}


def _plan(sampler: str, seed: int, surrogates: ClassSurrogates) -> Plan:
    space = dataclasses.replace(SPACE, points={})
    settings = SweepSettings(scale="laptop", configs=CONFIGS, epochs=surrogates.epochs, sampler=sampler)
    return dataclasses.replace(make_plan("gan_loss_weights", settings, space), search_seed=seed)
