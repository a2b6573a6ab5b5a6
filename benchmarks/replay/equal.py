"""Whole sweeps of equal compute: every policy gets as many configurations as the budget pays for, and runs to its end.

A sweep that is cut in the middle answers from what happens to be finished; a user rather chooses the number of
configurations. Compute is counted twice: in class-epochs, and in machine time, where a class-epoch in a trial of its
own costs more than in a network of ten (benchmarks/members.py --threads 1, batch 64).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from multiprocessing.pool import Pool
from typing import Any

import numpy as np

from .answers import answer, regret
from .intervals import Estimate, mean
from .policies import FUSED, POLICIES
from .simulation import compute_of, simulate
from .stopping import GATE, WORKERS
from .table import Table, plan_of

__all__ = ["SINGLE_CLASS_COST", "compare_whole_sweeps", "unmet"]

#: Machine time of a class-epoch in a trial of one class, of one in a trial of ten.
SINGLE_CLASS_COST = 1.3
#: Policies whose trials train one class.
SINGLE = ("Repeater", "ASHA over trials", "split blocks, 1 class")
#: The policies that the gate asks fused blocks to beat.
RIVALS = ("no stopping", *SINGLE)
#: Orders from which the number of configurations is found.
PILOT = 24


@dataclasses.dataclass(frozen=True)
class Sweeps:
    """A policy at a number of workers: configurations it can pay for, compute it took as part of no stopping's for the
    whole table, regret (AUROC), and behind: its regret less that of fused blocks, paired by order."""

    configurations: int
    compute: float
    regret: Estimate
    behind: Estimate


def compare_whole_sweeps(pool: Pool, table: Table, orders: Sequence[list[int]]) -> dict[str, Any]:
    """By unit of compute, workers and policy: Sweeps as plain values, and where fused blocks stand."""
    runs = {name: _by_workers(pool, table, orders, name, GATE) for name in POLICIES}
    dearer = {name: _by_workers(pool, table, orders, name, GATE / SINGLE_CLASS_COST) for name in SINGLE}
    units = {"class-epochs": runs, "machine time": {**runs, **dearer}}
    return {unit: {str(w): _figures(found, w) for w in WORKERS} for unit, found in units.items()}


def unmet(found: dict[str, Any]) -> str:
    """The rivals that fused blocks do not lie below in regret at equal machine time, by workers; empty if none."""
    return ", ".join(
        f"{name} on {workers} workers: {by_policy[name]['fused']}"
        for workers, by_policy in found["machine time"].items()
        for name in RIVALS
        if by_policy[name]["fused"] != "below"
    )


def _figures(runs: dict[str, dict[int, tuple[int, np.ndarray]]], workers: int) -> dict[str, Any]:
    fused = runs[FUSED][workers][1][:, 1]
    found: dict[str, Any] = {}
    for name, by_workers in runs.items():
        count, each = by_workers[workers]
        behind = mean((each[:, 1] - fused).tolist())
        sweeps = Sweeps(count, float(each[:, 0].mean()), mean(each[:, 1].tolist()), behind)
        stands = "below" if behind.low > 0 else "above" if behind.high < 0 else "level"
        found[name] = {**dataclasses.asdict(sweeps), "fused": "-" if name == FUSED else stands}
    return found


def _by_workers(
    pool: Pool, table: Table, orders: Sequence[list[int]], name: str, budget: float
) -> dict[int, tuple[int, np.ndarray]]:
    """Configurations, and (compute, regret) by order, [orders, 2], for each number of workers."""
    found: dict[int, tuple[int, np.ndarray]] = {}
    for workers in WORKERS:
        count = _affordable(pool, table, orders[:PILOT], name, workers, budget)
        found[workers] = count, _run(pool, table, orders, name, workers, count)
    return found


def _affordable(pool: Pool, table: Table, orders: Sequence[list[int]], name: str, workers: int, budget: float) -> int:
    """The most configurations whose mean compute is within the budget."""
    low, high = 1, len(table.params) + 1
    while high - low > 1:
        middle = (low + high) // 2
        compute = _run(pool, table, orders, name, workers, middle)[:, 0].mean()
        low, high = (middle, high) if compute <= budget + 1e-9 else (low, middle)
    return low


def _run(pool: Pool, table: Table, orders: Sequence[list[int]], name: str, workers: int, count: int) -> np.ndarray:
    return np.array(pool.map(partial(_one, table, name, workers, count), orders, chunksize=4))


def _one(table: Table, name: str, workers: int, count: int, order: list[int]) -> tuple[float, float]:
    plan = dataclasses.replace(plan_of(table), configs=count)
    reports = simulate(POLICIES[name](table, plan, order[:count]), workers)
    return compute_of(reports) / table.compute, regret(table, answer(table, reports, table.compute))
