"""The ladder on several tables: each judged by the ladder that is best on the others, beside no stopping and blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from multiprocessing.pool import Pool
from typing import Any

import numpy as np

from .answers import answer, regret
from .climbing import CLASS_EPOCHS, Setting, climb
from .equal import SINGLE_CLASS_COST
from .intervals import mean
from .policies import FUSED, POLICIES
from .simulation import simulate
from .stopping import orders_of
from .table import Table, plan_of

__all__ = ["BUDGETS", "compare_ladders"]

#: Budgets, as parts of what training every configuration to its end costs.
BUDGETS = (1 / 8, 1 / 4)
#: Cost of an experiment's epoch in a pack of so many, of one in a pack of ten; packs in between count as one alone.
MACHINE_TIME: Mapping[int, float] = {1: SINGLE_CLASS_COST, 10: 1.0}
#: What is compared: unit, workers, experiments in a pack, and their cost. A ladder is chosen by the first.
UNITS = (
    ("class-epochs", 1, 1, CLASS_EPOCHS),
    ("class-epochs", 4, 1, CLASS_EPOCHS),
    ("class-epochs", 16, 1, CLASS_EPOCHS),
    ("machine time", 2, 10, MACHINE_TIME),
)
HIGH, WHOLE = 5 / 8, 1.0
#: The ladders among which one is chosen: by which rungs, and of how many one goes up.
CANDIDATES = tuple(
    Setting(parts, reduction)
    for parts, reduction in product(
        (
            ((0, HIGH), (0, WHOLE), (0.3, WHOLE), (1, WHOLE)),
            ((0, 3 / 8), (0, HIGH), (0, WHOLE), (0.3, WHOLE), (1, WHOLE)),
            ((0, HIGH), (0.2, WHOLE), (0.5, WHOLE), (1, WHOLE)),
            ((0.2, HIGH), (0.2, WHOLE), (0.5, WHOLE), (1, WHOLE)),
            ((0.3, HIGH), (0.3, WHOLE), (1, WHOLE)),
        ),
        (2, 3, 4),
    )
)

#: Regrets by policy: [budgets].
Regrets = dict[Any, list[float]]
Unit = tuple[str, int, int, Mapping[int, float]]


def compare_ladders(pool: Pool, tables: Mapping[str, Table], permutations: int, seed: int) -> dict[str, Any]:
    """By unit and workers, table and policy: mean regret at each budget, and its share of no stopping's.

    policies: no stopping, fused blocks, the ladder as sweeps/engine/ladder.py has it, and the one of CANDIDATES with
    the least share on the other tables, in class-epochs on one worker.
    """
    orders = {name: orders_of(table, permutations, seed) for name, table in tables.items()}
    first = {n: _runs(pool, table, orders[n], UNITS[0], (Setting(), *CANDIDATES)) for n, table in tables.items()}
    chosen = {name: _chosen([first[other] for other in tables if other != name]) for name in tables}
    found: dict[str, Any] = {}
    for unit in UNITS:
        by_table: dict[str, Any] = {}
        for name, table in tables.items():
            own = tuple(dict.fromkeys((Setting(), chosen[name] or Setting())))
            runs = first[name] if unit is UNITS[0] else _runs(pool, table, orders[name], unit, own)
            by_table[name] = _figures(runs, chosen[name])
        found.setdefault(unit[0], {})[str(unit[1])] = by_table
    return {"budgets": list(BUDGETS), "chosen": {n: _told(each) for n, each in chosen.items()}, "units": found}


def _runs(
    pool: Pool, table: Table, orders: Sequence[list[int]], unit: Unit, settings: Sequence[Setting]
) -> list[Regrets]:
    return pool.map(partial(_one_order, table, unit, settings), orders, chunksize=4)


def _one_order(table: Table, unit: Unit, settings: Sequence[Setting], order: list[int]) -> Regrets:
    _, workers, limit, costs = unit
    budgets = [share * table.compute for share in BUDGETS]
    found: Regrets = {}
    for name in ("no stopping", FUSED):
        reports = simulate(POLICIES[name](table, plan_of(table), order), workers)
        found[name] = [regret(table, answer(table, reports, budget)) for budget in budgets]
    for setting in settings:
        found[setting] = [
            regret(table, climb(table, order, budget, workers=workers, setting=setting, limit=limit, costs=costs)[1])
            for budget in budgets
        ]
    return found


def _chosen(others: Sequence[list[Regrets]]) -> Setting | None:
    """The candidate with the least mean share over the other tables and budgets; None without another table."""
    if not others:
        return None
    shares = {setting: np.mean([_shares(each, setting) for each in others]) for setting in CANDIDATES}
    return min(shares, key=lambda setting: shares[setting])


def _shares(runs: Sequence[Regrets], policy: object) -> list[float]:
    """Mean regret over that of no stopping, by budget."""
    both = [np.mean([run[name] for run in runs], axis=0) for name in (policy, "no stopping")]
    return (both[0] / np.maximum(both[1], 1e-12)).tolist()


def _figures(runs: Sequence[Regrets], chosen: Setting | None) -> dict[str, Any]:
    policies: dict[str, object] = {"no stopping": "no stopping", FUSED: FUSED, "ladder": Setting()}
    if chosen:
        policies["ladder chosen elsewhere"] = chosen
    return {
        name: {
            "regret": [dataclasses.asdict(mean([run[key][place] for run in runs])) for place in range(len(BUDGETS))],
            "share": _shares(runs, key),
        }
        for name, key in policies.items()
    }


def _told(setting: Setting | None) -> dict[str, Any] | None:
    return dataclasses.asdict(setting) if setting else None
