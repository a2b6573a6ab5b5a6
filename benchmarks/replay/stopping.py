"""The comparison of stopping policies: every policy on the same orders of the configurations, at equal compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import Pool
from typing import Any

import numpy as np

from .answers import BUDGETS, Outcome, outcome
from .intervals import Estimate, mean, share
from .policies import FUSED, POLICIES
from .simulation import simulate
from .table import Table, plan_of

__all__ = ["GATE", "GOAL", "WORKERS", "Figures", "compare_policies", "goal_met", "orders_of", "summary", "verdicts"]

WORKERS = (1, 4, 16)
#: The budget at which fused blocks are to have the least regret of all policies, and the regret not to be exceeded.
GATE, GOAL = 1 / 4, 0.002

#: Outcomes of one order of the configurations, by policy and workers.
Outcomes = dict[tuple[str, int], Outcome]


@dataclasses.dataclass(frozen=True)
class Figures:
    """A policy at a number of workers over all orders. By budget: regret (AUROC), and behind: its regret less that of
    fused blocks, paired by order. compute: of the whole sweep, 1 for no stopping; missed: share of sweeps in which the
    best configuration was stopped."""

    regret: dict[float, Estimate]
    behind: dict[float, Estimate]
    compute: Estimate
    missed: Estimate


def orders_of(table: Table, permutations: int, seed: int) -> list[list[int]]:
    """Random orders of the table's rows."""
    draws = (np.random.default_rng([seed, index]) for index in range(permutations))
    return [draw.permutation(len(table.params)).tolist() for draw in draws]


def compare_policies(pool: Pool, table: Table, orders: Sequence[list[int]]) -> dict[str, dict[int, Figures]]:
    """Figures by policy and workers."""
    runs: list[Outcomes] = pool.map(partial(_all_policies, table), orders, chunksize=1)
    gathered = {key: [run[key] for run in runs] for key in runs[0]}
    return {
        name: {workers: _figures(gathered[name, workers], gathered[FUSED, workers]) for workers in WORKERS}
        for name in POLICIES
    }


def verdicts(figures: dict[str, dict[int, Figures]], workers: int, budget: float) -> dict[str, str]:
    """For each other policy, where fused blocks stand: below it in regret, above it, or level (0 in the interval)."""
    return {name: _verdict(by_workers[workers].behind[budget]) for name, by_workers in figures.items() if name != FUSED}


def goal_met(figures: dict[str, dict[int, Figures]], workers: int) -> bool:
    """Whether the mean regret of fused blocks at the gate's budget is within the goal."""
    return figures[FUSED][workers].regret[GATE].value <= GOAL


def summary(figures: dict[str, dict[int, Figures]]) -> dict[str, Any]:
    """All of it as plain values: policies x workers x budgets, and the gate by workers."""
    policies = {
        name: {str(workers): dataclasses.asdict(each) for workers, each in by_workers.items()}
        for name, by_workers in figures.items()
    }
    gate = {
        str(workers): {
            "fused against": {str(budget): verdicts(figures, workers, budget) for budget in BUDGETS},
            "passed": set(verdicts(figures, workers, GATE).values()) == {"below"},
            "goal met": goal_met(figures, workers),
        }
        for workers in WORKERS
    }
    return {"budgets": list(BUDGETS), "policies": policies, "gate": gate}


def _all_policies(table: Table, order: list[int]) -> Outcomes:
    plan = plan_of(table)
    return {
        (name, workers): outcome(table, simulate(build(table, plan, order), workers))
        for name, build in POLICIES.items()
        for workers in WORKERS
    }


def _figures(runs: list[Outcome], fused: list[Outcome]) -> Figures:
    def by_budget(value: Callable[[int, int], float]) -> dict[float, Estimate]:
        return {budget: mean([value(i, k) for i in range(len(runs))]) for k, budget in enumerate(BUDGETS)}

    return Figures(
        regret=by_budget(lambda i, k: runs[i].regrets[k]),
        behind=by_budget(lambda i, k: runs[i].regrets[k] - fused[i].regrets[k]),
        compute=mean([run.compute for run in runs]),
        missed=share([run.missed for run in runs]),
    )


def _verdict(behind: Estimate) -> str:
    if behind.low > 0:
        return "below"
    return "above" if behind.high < 0 else "level"
