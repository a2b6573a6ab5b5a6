"""A function through the table's final means, for proposals that the table does not hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from sweeps.gan_loss_weights import SPACE

from .table import Table

__all__ = ["MODELS", "Surrogate", "choose_surrogate", "cross_validate"]

FOLDS, REPEATS = 5, 4
#: Random points of the space among which a surrogate's best is looked for.
DENSE = 100_000


def _gaussian_process() -> GaussianProcessRegressor:
    lengths: Any = np.ones(len(SPACE.ranges))
    kernel = ConstantKernel() * Matern(lengths, (0.05, 50.0), nu=2.5) + WhiteKernel(0.05, (1e-4, 1.0))
    return GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=0)


def _extra_trees() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(100, random_state=0)


#: Regression of -log(1 - AUROC), which spreads the good configurations, on the parameters' logarithms.
MODELS: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {"Gaussian process (Matern 5/2, a length per parameter, noise)": _gaussian_process, "extra trees": _extra_trees}
)


class Surrogate:
    """The mean AUROC over the classes at the last epoch, by a model fitted to points, [configurations, fields]."""

    def __init__(self, name: str, points: np.ndarray, values: np.ndarray) -> None:
        self.name, self.model = name, MODELS[name]()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: a parameter without effect
            self.model.fit(points, -np.log1p(-values))

    def __call__(self, params: Mapping[str, float]) -> float:
        """The mean AUROC at a configuration."""
        return float(self.predict(_unit(params)[None])[0])

    def predict(self, points: np.ndarray) -> np.ndarray:
        """The mean AUROC at points, [configurations]."""
        return -np.expm1(-self.model.predict(points))

    def best(self) -> float:
        """The highest value of a dense random sample."""
        sample = np.random.default_rng(0).random((DENSE, len(SPACE.ranges)))
        return max(float(self.predict(part).max()) for part in np.array_split(sample, 20))


def choose_surrogate(table: Table) -> tuple[Surrogate, dict[str, dict[str, float]]]:
    """The model whose held-out predictions rank the table best, fitted to all of it, and the quality of each.

    Configurations that diverged are left out: the surrogate says nothing of where training fails.
    """
    kept = np.isfinite(table.finals)
    points, values = np.array([_unit(params) for params in table.params])[kept], table.finals[kept]
    quality = {name: cross_validate(name, points, values) for name in MODELS}
    best = max(quality, key=lambda name: quality[name]["Spearman"])
    return Surrogate(best, points, values), quality


def cross_validate(name: str, points: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """R2 and Spearman's rank correlation of held-out predictions with the values, means over repeats of k folds."""
    found: dict[str, list[float]] = {"R2": [], "Spearman": []}
    for repeat in range(REPEATS):
        held_out = np.empty_like(values)
        for fit, rest in KFold(FOLDS, shuffle=True, random_state=repeat).split(points):
            held_out[rest] = Surrogate(name, points[fit], values[fit]).predict(points[rest])
        found["R2"].append(float(r2_score(values, held_out)))
        found["Spearman"].append(float(stats.spearmanr(values, held_out)[0]))
    return {key: float(np.mean(each)) for key, each in found.items()}


def _unit(params: Mapping[str, float]) -> np.ndarray:
    """Parameters as [fields], 0 at the lower and 1 at the upper end of their range, in their logarithm."""
    ranges = SPACE.ranges
    return np.array([np.log(params[name] / each.low) / np.log(each.high / each.low) for name, each in ranges.items()])
