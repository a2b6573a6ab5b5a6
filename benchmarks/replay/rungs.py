"""What the rungs and the guards of BlockASHA should be: rank correlations over epochs, and a grid of rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import Pool
from typing import Any
from unittest import mock

import numpy as np
from scipy import stats

from sweeps.engine import blocks as engine

from .answers import BUDGETS, Outcome, outcome
from .intervals import mean, share
from .policies import blocks
from .simulation import simulate
from .stopping import GATE
from .table import Table, plan_of

__all__ = ["GRID", "Rules", "correlations", "outcome_under", "try_rules"]


@dataclasses.dataclass(frozen=True)
class Rules:
    """A setting of BlockASHA; None: what the plan or sweeps/engine/blocks.py says.

    size: members per trial, None for all; grace: epochs; slack: AUROC that a block may lie below the cutoff;
    others: blocks that must have reached a rung before anything is stopped.
    """

    size: int | None = None
    grace: int | None = None
    reduction: int | None = None
    slack: float | None = None
    others: int | None = None


GRID = [
    *(Rules(grace=grace, reduction=reduction) for grace in (1, 2, 3, 4) for reduction in (2, 3, 4)),
    *(Rules(slack=slack) for slack in (0.0, 0.001, 0.003, 0.01)),
    *(Rules(others=others) for others in (1, 3, 5, 8)),
    *(Rules(size=1, slack=slack) for slack in (0.0, 0.001, 0.003, 0.01)),
    *(Rules(size=1, others=others) for others in (1, 3, 5, 8)),
]


def correlations(table: Table) -> dict[str, list[float]]:
    """Spearman's rank correlation of the mean over classes after each epoch with that after the last one.

    Over all configurations that did not diverge, and over the better half of them by the last epoch.
    """
    means = np.array([curve.mean(axis=1) for curve in table.curves if len(curve) == table.epochs])
    means = means[np.isfinite(means).all(axis=1)]
    better = means[means[:, -1] >= np.median(means[:, -1])]
    return {"all": _with_last(means), "better half": _with_last(better)}


def try_rules(pool: Pool, table: Table, orders: Sequence[list[int]]) -> list[dict[str, Any]]:
    """For each of the GRID with one worker: regret at the gate's budget, whole compute, share of sweeps in which the
    best configuration was stopped."""
    runs: list[list[Outcome]] = pool.map(partial(_all_rules, table), orders, chunksize=1)
    return [_figures(rules, [run[index] for run in runs]) for index, rules in enumerate(GRID)]


def outcome_under(table: Table, order: Sequence[int], rules: Rules) -> Outcome:
    """One sweep of blocks under these rules, on one worker."""
    plan = plan_of(table)
    plan = dataclasses.replace(plan, grace=rules.grace or plan.grace, reduction=rules.reduction or plan.reduction)
    slack = engine.SPLIT_SLACK if rules.slack is None else rules.slack
    others = engine.MINIMUM_OTHERS if rules.others is None else rules.others
    policy = blocks(table, plan, order, size=rules.size)
    if rules.size is None and rules.slack:  # the engine gives whole blocks no slack: their cutoff is lowered instead
        bracket = policy.scheduler._brackets[0]
        bracket.cutoff = partial(_lowered, bracket.cutoff, rules.slack)
    with mock.patch.multiple(engine, SPLIT_SLACK=slack, MINIMUM_OTHERS=others):
        return outcome(table, simulate(policy, 1))


def _figures(rules: Rules, outcomes: list[Outcome]) -> dict[str, Any]:
    estimates = {
        "regret": mean([each.regrets[BUDGETS.index(GATE)] for each in outcomes]),
        "regret at the end": mean([each.regrets[-1] for each in outcomes]),
        "compute": mean([each.compute for each in outcomes]),
        "missed": share([each.missed for each in outcomes]),
    }
    return {"rules": dataclasses.asdict(rules)} | {name: dataclasses.asdict(each) for name, each in estimates.items()}


def _all_rules(table: Table, order: list[int]) -> list[Outcome]:
    return [outcome_under(table, order, rules) for rules in GRID]


def _lowered(cutoff: Callable[[Any], float | None], slack: float, recorded: Any) -> float | None:
    limit = cutoff(recorded)
    return None if limit is None else limit - slack


def _with_last(means: np.ndarray) -> list[float]:
    return [float(stats.spearmanr(epoch, means[:, -1])[0]) for epoch in means.T]
