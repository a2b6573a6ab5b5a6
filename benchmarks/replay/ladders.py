"""The ladder on several tables: each judged by the ladder that is best on the others, beside what others do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np

from .answers import answer, regret
from .climbing import CLASS_EPOCHS, Setting, climb
from .intervals import Estimate, mean
from .policies import POLICIES
from .simulation import simulate
from .table import Table, orders_of

__all__ = ["BUDGETS", "YARDSTICK", "compare_ladders"]

#: Budgets, as parts of what training every configuration to its end costs.
BUDGETS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
#: Those that a ladder is chosen by.
CHOSEN_BY = (1 / 8, 1 / 4)
YARDSTICK = "no stopping"
LADDER, ELSEWHERE = "ladder", "ladder chosen elsewhere"
SPEEDS = Path(__file__).parent.parent / "pack_speeds.json"
HIGH, WHOLE = 5 / 8, 1.0
#: The ladders among which one is chosen: by which rungs, of how many one goes up, and with how much to spare.
CANDIDATES = tuple(
    Setting(*each)
    for each in product(
        (
            ((0, HIGH), (0, WHOLE), (0.3, WHOLE), (1, WHOLE)),
            ((0, 3 / 8), (0, HIGH), (0, WHOLE), (0.3, WHOLE), (1, WHOLE)),
            ((0, HIGH), (0.2, WHOLE), (0.5, WHOLE), (1, WHOLE)),
            ((0.2, HIGH), (0.2, WHOLE), (0.5, WHOLE), (1, WHOLE)),
            ((0.3, HIGH), (0.3, WHOLE), (1, WHOLE)),
        ),
        (2, 3, 4),
        (1.2, 1.6),
    )
)
#: Resamples of the orders for the interval of a share.
RESAMPLES = 1000

#: Regrets by policy: [budgets], and the whole sweep's at the end.
Regrets = dict[Any, list[float]]


@dataclasses.dataclass(frozen=True)
class Unit:
    """In what cost is counted. members: experiments in a pack at the most; costs: of an epoch, by size of the pack."""

    name: str
    workers: int
    members: int
    costs: Mapping[int, float]


def units() -> list[Unit]:
    """Class-epochs, and machine time with packs of the measured speeds (benchmarks/pack_speeds.py)."""
    speeds = {int(size): cost for size, cost in json.loads(SPEEDS.read_text())["cost"].items()}
    return [
        *(Unit("class-epochs", workers, 1, CLASS_EPOCHS) for workers in (1, 4, 16)),
        Unit("machine time", 2, 10, speeds),
    ]


def compare_ladders(pool: Pool, tables: Mapping[str, Table], permutations: int, seed: int) -> dict[str, Any]:
    """By unit and workers, table and policy: mean regret at each budget, its share of no stopping's, and the end's.

    policies: what Ray offers, the ladder as sweeps/engine/planning/ladder.py has it, and the one of CANDIDATES with the
    least share on the other tables, in class-epochs on one worker.
    """
    compared = units()
    orders = {name: orders_of(table, permutations, seed) for name, table in tables.items()}
    half = (permutations + 1) // 2  # enough to choose by
    tried = {
        n: _runs(pool, table, orders[n][:half], compared[0], CANDIDATES, policies=(YARDSTICK,))
        for n, table in tables.items()
    }
    chosen = {name: _chosen([tried[other] for other in tables if other != name]) for name in tables}
    found: dict[str, Any] = {}
    for unit in compared:
        runs: dict[str, list[Regrets]] = {}
        for name, table in tables.items():
            own = tuple(dict.fromkeys((Setting(), chosen[name] or Setting())))
            runs[name] = [_named(run, chosen[name]) for run in _runs(pool, table, orders[name], unit, own)]
        found.setdefault(unit.name, {})[str(unit.workers)] = {
            "tables": {name: _figures(each) for name, each in runs.items()},
            "mean share": _mean_shares(list(runs.values()), seed),
        }
    return {"budgets": list(BUDGETS), "chosen": {n: _told(each) for n, each in chosen.items()}, "units": found}


def _runs(
    pool: Pool,
    table: Table,
    orders: Sequence[list[int]],
    unit: Unit,
    settings: Sequence[Setting],
    policies: Sequence[str] = tuple(POLICIES),
) -> list[Regrets]:
    return pool.map(partial(_one_order, table, unit, settings, policies), orders, chunksize=4)


def _one_order(
    table: Table, unit: Unit, settings: Sequence[Setting], policies: Sequence[str], order: list[int]
) -> Regrets:
    budgets = [share * table.compute for share in BUDGETS]
    found: Regrets = {}
    for name in policies:
        reports = simulate(POLICIES[name](table, order), unit.workers)
        # one class in a trial: each class-epoch costs what it costs alone
        dearer = unit.costs[1] if name in ("Repeater", "ASHA over trials") else 1.0
        cut = [regret(table, answer(table, reports, share * table.compute / dearer)) for share in BUDGETS]
        found[name] = [*cut, regret(table, answer(table, reports, 2 * table.compute))]
    for setting in settings:
        climbed = partial(
            climb, table, order, workers=unit.workers, setting=setting, limit=unit.members, costs=unit.costs
        )
        found[setting] = [*(regret(table, climbed(budget)[1]) for budget in budgets), regret(table, climbed(None)[1])]
    return found


def _chosen(others: Sequence[list[Regrets]]) -> Setting | None:
    """The candidate with the least mean share over the other tables and budgets; None without another table."""
    if not others:
        return None
    places = [BUDGETS.index(budget) for budget in CHOSEN_BY]
    shares = {each: np.mean([np.array(_shares(runs, each))[places] for runs in others]) for each in CANDIDATES}
    return min(shares, key=lambda setting: shares[setting])


def _named(run: Regrets, chosen: Setting | None) -> Regrets:
    """A run's regrets by the name of the policy."""
    own = {LADDER: run[Setting()], **({ELSEWHERE: run[chosen]} if chosen else {})}
    return {**{name: run[name] for name in POLICIES}, **own}


def _shares(runs: Sequence[Regrets], policy: object) -> list[float]:
    """Mean regret over that of no stopping, by budget."""
    both = [np.mean([run[name] for run in runs], axis=0)[: len(BUDGETS)] for name in (policy, YARDSTICK)]
    return (both[0] / np.maximum(both[1], 1e-12)).tolist()


def _mean_shares(tables: Sequence[Sequence[Regrets]], seed: int) -> dict[str, list[dict[str, float]]]:
    """By policy and budget, the mean over the tables of the share, with a bootstrap interval over the orders."""
    draw, found = np.random.default_rng(seed), dict[str, list[dict[str, float]]]()
    for policy in tables[0][0]:
        values = np.mean([_shares(runs, policy) for runs in tables], axis=0)
        samples = np.array([_resampled(tables, policy, draw) for _ in range(RESAMPLES)])
        low, high = np.percentile(samples, [2.5, 97.5], axis=0)
        found[policy] = [
            dataclasses.asdict(Estimate(*map(float, each))) for each in zip(values, low, high, strict=True)
        ]
    return found


def _resampled(tables: Sequence[Sequence[Regrets]], policy: str, draw: np.random.Generator) -> np.ndarray:
    shares: list[np.ndarray] = []
    for runs in tables:
        both = np.array([[run[name][: len(BUDGETS)] for name in (policy, YARDSTICK)] for run in runs])
        means = both[draw.integers(len(runs), size=len(runs))].mean(axis=0)
        shares.append(means[0] / np.maximum(means[1], 1e-12))
    return np.mean(shares, axis=0)


def _figures(runs: Sequence[Regrets]) -> dict[str, Any]:
    return {
        name: {
            "regret": [dataclasses.asdict(mean([run[name][place] for run in runs])) for place in range(len(BUDGETS))],
            "share": _shares(runs, name),
            "end": dataclasses.asdict(mean([run[name][-1] for run in runs])),
        }
        for name in runs[0]
    }


def _told(setting: Setting | None) -> dict[str, Any] | None:
    return dataclasses.asdict(setting) if setting else None
