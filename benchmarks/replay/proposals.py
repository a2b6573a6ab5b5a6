"""Which sampler proposes well: Optuna's samplers and SweepRecord's on a surrogate of the table."""

from __future__ import annotations

import dataclasses
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from multiprocessing.pool import Pool
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler

from sweeps.engine.plan import Plan, make_plan
from sweeps.engine.record import SweepRecord
from sweeps.engine.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE

from .intervals import mean
from .surrogate import Surrogate, choose_surrogate
from .table import Table

__all__ = ["AT", "OWN", "REPETITIONS", "TRIALS", "compare_samplers"]

REPETITIONS, TRIALS = 20, 32
#: Numbers of trials after which the regret is stated.
AT = (8, 16, 32)
#: The sampler that a sweep uses, asked through its record.
OWN = "TPE as SweepRecord builds it"
#: Random proposals before a sampler models anything: SweepRecord's number for so many trials.
STARTUP = 8

#: Makes a sampler from a seed; it is kept for the whole study.
SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = MappingProxyType(
    {
        "TPE, multivariate": lambda seed: TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP),
        "GPSampler": lambda seed: GPSampler(seed=seed, n_startup_trials=STARTUP, deterministic_objective=True),
        "CmaEsSampler": lambda seed: CmaEsSampler(seed=seed),
        "QMCSampler": lambda seed: QMCSampler(seed=seed, scramble=True),
        "RandomSampler": lambda seed: RandomSampler(seed=seed),
    }
)


def compare_samplers(pool: Pool, table: Table, seed: int) -> dict[str, Any]:
    """The surrogates' quality and, by sampler, the regret after 8, 16 and 32 trials over so many seeds.

    The space's own points are left out: the default is among the best of the table and would hide what a sampler adds.
    Regret: the surrogate's best of a dense sample less the best value proposed so far, AUROC; it may be negative.
    """
    surrogate, quality = choose_surrogate(table)
    best = surrogate.best()
    absent = [] if importlib.util.find_spec("cmaes") else ["CmaEsSampler"]
    names = [OWN, *(name for name in SAMPLERS if name not in absent)]
    jobs = list(product(names, range(seed, seed + REPETITIONS)))
    runs = pool.map(partial(_best_values, surrogate), jobs, chunksize=1)
    regrets = {
        name: best - np.array([run for run, job in zip(runs, jobs, strict=True) if job[0] == name]) for name in names
    }
    return {
        "surrogate": surrogate.name,
        "cross-validation": quality,
        "best": best,
        "regret of the default": best - surrogate(SPACE.points[SPACE.default]),
        "repetitions": REPETITIONS,
        "regret": {name: _estimates(each) for name, each in regrets.items()},
        "behind own": {name: _estimates(each - regrets[OWN]) for name, each in regrets.items() if name != OWN},
        "absent": absent,
    }


def _estimates(values: np.ndarray) -> dict[str, dict[str, float]]:
    return {str(trials): dataclasses.asdict(mean(values[:, k].tolist())) for k, trials in enumerate(AT)}


def _best_values(surrogate: Surrogate, job: tuple[str, int]) -> list[float]:
    """The best value after so many trials, [AT]."""
    name, seed = job
    propose = _of_record(seed, surrogate) if name == OWN else _of_sampler(SAMPLERS[name], seed, surrogate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some samplers are marked experimental
        values = list(propose)
    return [max(values[:trials]) for trials in AT]


def _of_record(seed: int, surrogate: Surrogate) -> Iterator[float]:
    """Values of what a sweep's record proposes, each told before the next is asked for."""
    plan = _plan(seed)
    record = SweepRecord(optuna.create_study(direction="maximize"), plan, [plan.classes])
    while job := record.next_job():
        block = record.blocks[job.configuration]
        value = surrogate(block.params)
        record.write_rung(block, plan.base.epochs, job.group, [value] * len(plan.classes))
        record.finish(job)
        yield value


def _of_sampler(make: Callable[[int], BaseSampler], seed: int, surrogate: Surrogate) -> Iterator[float]:
    """Values of what one of Optuna's samplers proposes."""
    study = optuna.create_study(direction="maximize", sampler=make(seed))
    for _ in range(TRIALS):
        trial = study.ask(SPACE.distributions())
        value = surrogate(trial.params)
        study.tell(trial, value)
        yield value


def _plan(seed: int) -> Plan:
    space = dataclasses.replace(SPACE, points={})
    plan = make_plan("gan_loss_weights", SweepSettings(scale="laptop", configs=TRIALS), space)
    return dataclasses.replace(plan, search_seed=seed)
