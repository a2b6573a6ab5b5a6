"""TestResult: the confirmed models' results on the test part."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OWN_BEST", "TestResult", "own_of"]

#: Stands for a configuration that takes each class's network from the training of that class's own best one.
OWN_BEST = -1


@dataclasses.dataclass(frozen=True)
class TestResult:
    """Test figures of every confirmed model, a (configuration, seed) pair.

    measured: model -> class -> metric -> value. covariance: by comparison ("" for all anomalies, "seen", "unseen"), of
    the models' AUROC means over the classes, from images: [models, models]. images: size of the test part. own: the
    configurations that OWN_BEST stands for, by class.
    """

    measured: dict[tuple[int, int], dict[int, dict[str, float]]]
    covariance: dict[str, NDArray[np.float64]]
    images: int
    own: Mapping[int, int] = dataclasses.field(default_factory=dict[int, int])

    def means(self, configuration: int, metric: str = "auroc") -> list[float]:
        """Mean over the classes, one per seed."""
        found = [by_class for (number, _), by_class in self.measured.items() if number == configuration]
        return [float(np.mean([values[metric] for values in by_class.values()])) for by_class in found]

    def by_class(self, configuration: int, metric: str = "auroc") -> dict[int, list[float]]:
        """One value per seed, by class."""
        found = [by_class for (number, _), by_class in self.measured.items() if number == configuration]
        return {index: [by_class[index][metric] for by_class in found] for index in found[0]}

    def image_variance(self, comparison: str, configuration: int, minus: int | None = None) -> float:
        """Variance from images of a configuration's mean over classes and seeds, or of its difference to another's."""
        weights = np.array([float(number == configuration) - float(number == minus) for number, _ in self.measured])
        weights[weights > 0] /= max(1, (weights > 0).sum())
        weights[weights < 0] /= max(1, (weights < 0).sum())
        return max(0.0, float(weights @ self.covariance[comparison] @ weights))  # rounding may fall below 0

    def image_variance_of_one(self, comparison: str, configuration: int) -> float:
        """Variance from images of one model's mean over classes, on average over the configuration's seeds."""
        own = [place for place, (number, _) in enumerate(self.measured) if number == configuration]
        return float(np.diag(self.covariance[comparison])[own].mean())

    def as_record(self) -> dict[str, Any]:
        """Plain values, for the study."""
        return {
            "models": [list(model) for model in self.measured],
            "measured": [{str(index): m for index, m in by_class.items()} for by_class in self.measured.values()],
            "covariance": {name: matrix.tolist() for name, matrix in self.covariance.items()},
            "images": self.images,
            "own": {str(index): number for index, number in self.own.items()},
        }

    @classmethod
    def from_record(cls, stored: dict[str, Any]) -> TestResult:
        """The result from what as_record returned."""
        measured = {
            (model[0], model[1]): {int(index): metrics for index, metrics in by_class.items()}
            for model, by_class in zip(stored["models"], stored["measured"], strict=True)
        }
        covariance = {name: np.array(matrix) for name, matrix in stored["covariance"].items()}
        return cls(measured, covariance, stored["images"], own_of(stored))


def own_of(stored: Mapping[str, Any]) -> dict[int, int]:
    """The configurations that OWN_BEST stands for, by class, from what TestResult.as_record returned."""
    return {int(index): number for index, number in stored["own"].items()}
