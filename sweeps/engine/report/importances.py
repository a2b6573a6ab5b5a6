"""Which parameters matter: Optuna's importances of what the search has tried, and the direction of each."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial
from scipy.stats import spearmanr

from sweeps.engine.report.search import Point

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Importance", "importances", "spread_in_words", "too_few"]

#: The least that is judged: configurations, and how many of them complete, on which the others' predictions rest.
LEAST, LEAST_COMPLETE = 8, 2
#: Seeds of the evaluator: each has its own trees, and its own sample if there are more than MOST configurations.
SEEDS = range(5)
#: The evaluator's time grows with the square of the configurations and in proportion to the trees.
MOST, TREES = 100, 16


@dataclasses.dataclass(frozen=True)
class Importance:
    """A parameter's share of what the parameters explain of the metric's variance: one value per evaluator seed.

    correlation: Spearman's, of parameter and mean; None for choices, or if one of them does not vary.
    """

    name: str
    by_seed: Sequence[float]
    correlation: float | None

    @property
    def mean(self) -> float:
        """Mean over the evaluator seeds."""
        return statistics.fmean(self.by_seed)


def too_few(points: Sequence[Point]) -> str:
    """Why importances of these configurations would say nothing, in a sentence; "" if they say something."""
    complete = sum(point.is_complete for point in points)
    if len(points) < LEAST or complete < LEAST_COMPLETE:
        return (
            f"Too few configurations to tell which parameters matter: {len(points)} with a mean, of which "
            f"{complete} complete; at least {LEAST} are needed, of which {LEAST_COMPLETE} complete."
        )
    if np.ptp([point.value for point in points]) == 0:
        return "All configurations have the same mean: no parameter matters."
    return ""


def spread_in_words(points: Sequence[Point], metric: str) -> str:
    """How far the configurations lie apart: where that is next to nothing, importances say nothing."""
    values = [point.value for point in points]
    lowest, highest, middle = min(values), max(values), statistics.median(values)
    return (
        f"The mean {metric} of these {len(points)} configurations has a median of {middle:.4f} and lies between "
        f"{lowest:.4f} and {highest:.4f}: what is below explains that difference, however small it is."
    )


def importances(points: Sequence[Point], distributions: Mapping[str, BaseDistribution]) -> list[Importance]:
    """The importance of every parameter, the largest first. points: enough of them, as too_few says."""
    by_seed = [_by_name(points, distributions, seed) for seed in SEEDS]
    unranked = [
        Importance(name, [shares[name] for shares in by_seed], _correlation(points, name)) for name in distributions
    ]
    return sorted(unranked, key=lambda importance: -importance.mean)


def _by_name(points: Sequence[Point], distributions: Mapping[str, BaseDistribution], seed: int) -> dict[str, float]:
    """fANOVA's importances (Hutter et al. 2014) with one seed; all 0 if no tree finds a difference."""
    if len(points) > MOST:
        chosen = np.random.default_rng(seed).choice(len(points), MOST, replace=False)
        points = [points[place] for place in chosen]
    study = optuna.create_study(direction="maximize")
    study.add_trials([create_trial(params=p.params, distributions=dict(distributions), value=p.value) for p in points])
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=seed)
    try:
        shares = get_param_importances(study, evaluator=evaluator, params=list(distributions))
    except RuntimeError:  # Optuna's, of trees without any variance
        return dict.fromkeys(distributions, 0.0)
    return {name: float(value) for name, value in shares.items()}


def _correlation(points: Sequence[Point], name: str) -> float | None:
    values = [point.params[name] for point in points]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    if np.ptp(values) == 0:
        return None
    return float(spearmanr(values, [point.value for point in points])[0])  # pyright: ignore[reportArgumentType]
