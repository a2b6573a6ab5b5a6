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

__all__ = ["MODELS", "ClassSurrogates", "Surrogate", "cross_validate", "fit_surrogates"]

FOLDS, REPEATS = 5, 4
#: Random points of the space among which a surrogate's best is looked for.
DENSE = 20_000


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
    """An AUROC at the last epoch, by a model fitted to points, [configurations, fields]."""

    def __init__(self, name: str, points: np.ndarray, values: np.ndarray) -> None:
        self.name, self.model = name, MODELS[name]()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: a parameter without effect
            self.model.fit(points, -np.log1p(-values))

    def predict(self, points: np.ndarray) -> np.ndarray:
        """The AUROC at points, [configurations]."""
        return -np.expm1(-self.model.predict(points))


class ClassSurrogates:
    """The AUROC of each class after each epoch, by models of one kind.

    A model for every epoch of every class would take minutes to fit: each class has one of its last epoch, and what it
    lacks before is the table's mean over the configurations. So a configuration's rank on a class is that of the end.
    """

    def __init__(self, name: str, points: np.ndarray, curves: np.ndarray) -> None:
        """points: [configurations, fields]; curves: [configurations, epochs, classes]."""
        self.name, self.epochs = name, curves.shape[1]
        self.models = [Surrogate(name, points, curves[:, -1, index]) for index in range(curves.shape[2])]
        self.lacks = (curves[:, -1:] - curves).mean(axis=0)  # [epochs, classes]
        self.known: dict[tuple[float, ...], np.ndarray] = {}

    def __call__(self, params: Mapping[str, float], index: int, epoch: int) -> float:
        """The AUROC of a configuration in a class after an epoch."""
        return float(self._finals(params)[index] - self.lacks[epoch - 1, index])

    def mean(self, params: Mapping[str, float]) -> float:
        """The mean AUROC over the classes after the last epoch."""
        return float(self._finals(params).mean())

    def best(self) -> float:
        """The highest mean of a dense random sample."""
        sample = np.random.default_rng(0).random((DENSE, len(SPACE.ranges)))
        parts = np.array_split(sample, 20)
        return max(float(np.mean([model.predict(part) for model in self.models], axis=0).max()) for part in parts)

    def _finals(self, params: Mapping[str, float]) -> np.ndarray:
        point = _unit(params)
        if (key := tuple(point)) not in self.known:
            self.known[key] = np.array([model.predict(point[None])[0] for model in self.models])
        return self.known[key]


def fit_surrogates(table: Table) -> tuple[ClassSurrogates, dict[str, dict[str, float]]]:
    """The models whose held-out predictions of the mean rank the table best, fitted to all of it; each one's quality.

    Configurations that diverged are left out: the surrogate says nothing of where training fails.
    """
    kept = np.isfinite(table.finals)
    points, values = np.array([_unit(params) for params in table.params])[kept], table.finals[kept]
    quality = {name: cross_validate(name, points, values) for name in MODELS}
    best = max(quality, key=lambda name: quality[name]["Spearman"])
    curves = np.array([curve for curve, keep in zip(table.curves, kept, strict=True) if keep])
    return ClassSurrogates(best, points, curves), quality


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
