"""TestResult: the confirmed models' results on the test part."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OWN_BEST", "TestResult", "stored_own_best", "validated_on"]

#: Stands for a configuration that takes each class's network from the training of that class's own best one.
OWN_BEST = -1


@dataclasses.dataclass(frozen=True)
class TestResult:
    """Test figures of every confirmed model, a (configuration, seed) pair.

    measured: model -> class -> metric -> value. covariance: by comparison ("" for all anomalies, "seen", "unseen"), of
    the models' means over the classes, from images: [models, models]. images: size of the test part. own_best: the
    configurations that OWN_BEST stands for, by class. class_variance: model -> class -> variance of its metric from
    images; empty in the record of a version that did not note it. metric: the one that the sweep was run for.

    kind_shares, kind_weights: of the variance's parts by kind of images, as `image_variance` has them: their shares by
    configuration, of its mean over the seeds and of one of its models; their weights on the test images.
    """

    measured: dict[tuple[int, int], dict[int, dict[str, float]]]
    covariance: dict[str, NDArray[np.float64]]
    images: int
    own_best: Mapping[int, int] = dataclasses.field(default_factory=dict[int, int])
    class_variance: Mapping[tuple[int, int], Mapping[int, float]] = dataclasses.field(
        default_factory=dict[tuple[int, int], Mapping[int, float]]
    )
    metric: str = "auroc"
    kind_shares: Mapping[int, list[list[float]]] = dataclasses.field(default_factory=dict[int, list[list[float]]])
    kind_weights: Sequence[float] = ()

    def means(self, configuration: int, metric: str | None = None) -> list[float]:
        """Mean over the classes, one per seed. metric: the sweep's, if no other is given."""
        name = metric or self.metric
        seed_values = [by_class for (number, _), by_class in self.measured.items() if number == configuration]
        return [float(np.mean([values[name] for values in by_class.values()])) for by_class in seed_values]

    def by_class(self, configuration: int, metric: str | None = None) -> dict[int, list[float]]:
        """One value per seed, by class. metric: the sweep's, if no other is given."""
        name = metric or self.metric
        seed_values = [by_class for (number, _), by_class in self.measured.items() if number == configuration]
        return {index: [by_class[index][name] for by_class in seed_values] for index in seed_values[0]}

    def named(self, comparison: str) -> str:
        """The name of the metric over a comparison: "", "seen" or "unseen"."""
        return f"{self.metric}_{comparison}".rstrip("_")

    def image_variance(self, comparison: str, configuration: int, minus: int | None = None) -> float:
        """Variance from images of a configuration's mean over classes and seeds, or of its difference to another's."""
        weights = np.array([float(number == configuration) - float(number == minus) for number, _ in self.measured])
        weights[weights > 0] /= max(1, (weights > 0).sum())
        weights[weights < 0] /= max(1, (weights < 0).sum())
        return max(0.0, float(weights @ self.covariance[comparison] @ weights))  # rounding may fall below 0

    def image_variance_of_one(self, comparison: str, configuration: int) -> float:
        """Variance from images of one model's mean over classes, on average over the configuration's seeds."""
        places = [place for place, (number, _) in enumerate(self.measured) if number == configuration]
        return float(np.diag(self.covariance[comparison])[places].mean())

    def validation_variance(
        self, configuration: int, images: int, weights: Sequence[float] | None, *, of_one: bool = False
    ) -> float:
        """Variance from images of a configuration's mean over classes and seeds on so many validation images.

        weights: of the variance's parts on those images; None if they are mixed as the test part is, which is also
        taken for granted where the parts are not known. of_one: of one model instead, on average over the seeds.
        """
        name = validated_on(self.covariance)
        of_test = (self.image_variance_of_one if of_one else self.image_variance)(name, configuration)
        if weights is None or configuration not in self.kind_shares:
            return of_test * self.images / images
        parts = zip(self.kind_shares[configuration][of_one], weights, self.kind_weights, strict=True)
        return max(0.0, of_test * sum(share * there / here for share, there, here in parts if here))

    def image_variance_of_class(self, configuration: int, index: int) -> float:
        """Variance from images of a model's metric in one class, on average over seeds; NaN if unknown.

        A mean over seeds does not vary more: its models share the images.
        """
        variances = [values[index] for (number, _), values in self.class_variance.items() if number == configuration]
        return float(np.mean(variances)) if variances else math.nan

    def as_record(self) -> dict[str, Any]:
        """Plain values, for the study."""
        return {
            "models": [list(model) for model in self.measured],
            "measured": [{str(index): m for index, m in by_class.items()} for by_class in self.measured.values()],
            "covariance": {name: matrix.tolist() for name, matrix in self.covariance.items()},
            "images": self.images,
            "class_variance": [
                {str(index): v for index, v in by_class.items()} for by_class in self.class_variance.values()
            ],
            "own": {str(index): number for index, number in self.own_best.items()},
            "metric": self.metric,
            "kind_shares": {str(number): shares for number, shares in self.kind_shares.items()},
            "kind_weights": list(self.kind_weights),
        }

    @classmethod
    def from_record(cls, stored: dict[str, Any]) -> TestResult:
        """The result from what as_record returned."""
        models = [(number, seed) for number, seed in stored["models"]]
        measured = {model: _by_class(values) for model, values in zip(models, stored["measured"], strict=True)}
        noted = stored.get("class_variance") or []
        variance = {model: _by_class(values) for model, values in zip(models, noted, strict=False)}
        covariance = {name: np.array(matrix) for name, matrix in stored["covariance"].items()}
        metric, shares = stored.get("metric", "auroc"), _by_class(stored.get("kind_shares") or {})
        own_best, weights = stored_own_best(stored), stored.get("kind_weights") or ()
        return cls(measured, covariance, stored["images"], own_best, variance, metric, shares, weights)


def validated_on(names: Container[str]) -> str:
    """The comparison that validation is scored on: of the seen anomalies where they are apart, else of all."""
    return "seen" if "seen" in names else ""


def _by_class(stored: Mapping[str, Any]) -> dict[int, Any]:
    return {int(index): value for index, value in stored.items()}


def stored_own_best(stored: Mapping[str, Any]) -> dict[int, int]:
    """The configurations that OWN_BEST stands for, by class, from what TestResult.as_record returned."""
    return {int(index): number for index, number in stored["own"].items()}
