"""The test part: opened once for a sweep, for the models that confirmation trained."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.scoring import auroc_influence
from adcore.train import TestScores, load_detector, score_test
from sweeps.engine.confirm import Confirmation
from sweeps.engine.record import SweepRecord
from sweeps.engine.trial import checkpoint_path

__all__ = ["TestResult", "opened_before", "score_models"]


@dataclasses.dataclass(frozen=True)
class TestResult:
    """Test figures of every confirmed model, a (configuration, seed) pair.

    measured: model -> class -> metric -> value. covariance: by comparison ("" for all anomalies, "seen", "unseen"), of
    the models' AUROC means over the classes, from images: [models, models]. images: size of the test part.
    """

    measured: dict[tuple[int, int], dict[int, dict[str, float]]]
    covariance: dict[str, NDArray[np.float64]]
    images: int

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
        }

    @classmethod
    def from_record(cls, stored: dict[str, Any]) -> TestResult:
        """What as_record gave."""
        measured = {
            (model[0], model[1]): {int(index): metrics for index, metrics in by_class.items()}
            for model, by_class in zip(stored["models"], stored["measured"], strict=True)
        }
        covariance = {name: np.array(matrix) for name, matrix in stored["covariance"].items()}
        return cls(measured, covariance, stored["images"])


def opened_before(record: SweepRecord, confirmed: Sequence[Confirmation]) -> str:
    """Why scoring these would open the test part a second time, or an empty string."""
    stored = record.read("test")
    if stored is None or {tuple(model) for model in stored["models"]} == set(_models(confirmed)):
        return ""
    numbers = ", ".join(str(number) for number in sorted({model[0] for model in stored["models"]}))
    return (
        f"the test part was opened {record.read('test_openings')[-1]} for the configurations {numbers}, which are not "
        "those confirmed now; --resume with --open-test-again opens it once more, and records that"
    )


def score_models(
    record: SweepRecord,
    confirmed: Sequence[Confirmation],
    home: str,
    open_test: Callable[[], ImageDataset],
    *,
    again: bool = False,
) -> TestResult:
    """Score the models of every confirmed configuration; from the record if that was done before.

    open_test opens the test part: here and nowhere else. Each opening is on record by its time; one that ended without
    a figure is gone on with. again: open once more whatever was scored before.
    """
    stored = record.read("test")
    if stored is not None and not again:
        return TestResult.from_record(stored)
    models = _models(confirmed)
    _require_checkpoints(record, models, home)
    openings = record.read("test_openings") or []
    if not openings or stored is not None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        record.write("test_openings", [*openings, now])
    result = _score(record, models, home, open_test())
    record.write("test", result.as_record())
    return result


def _models(confirmed: Sequence[Confirmation]) -> list[tuple[int, int]]:
    return [(each.block.number, seed) for each in confirmed for seed in each.by_seed]


def _require_checkpoints(record: SweepRecord, models: list[tuple[int, int]], home: str) -> None:
    """Raises UserError if a model is gone: the test part is not opened for a part of them."""
    for number, seed in models:
        for classes in record.groups:
            path = checkpoint_path(home, number, classes, seed)
            if not path.exists():
                raise UserError(f"{path}: the model is gone, and the test part stays closed; begin a new sweep")


def _score(record: SweepRecord, models: list[tuple[int, int]], home: str, data: ImageDataset) -> TestResult:
    measured: dict[tuple[int, int], dict[int, dict[str, float]]] = {}
    influences: dict[str, list[NDArray[np.float64]]] = {}
    images = 0
    for number, seed in models:
        by_class: dict[int, dict[str, float]] = {}
        own: dict[str, NDArray[np.float64]] = {}
        for classes in record.groups:
            config, detector = load_detector(checkpoint_path(home, number, classes, seed), data.channels)
            detector.to("cuda" if torch.cuda.is_available() else "cpu")
            scored = score_test(detector, config, data)
            by_class |= scored.measured()
            images = len(scored.labels)
            for name, influence in _influence(scored).items():
                own[name] = own.get(name, 0) + influence / len(record.plan.classes)
        measured[number, seed] = dict(sorted(by_class.items()))
        for name, influence in own.items():
            influences.setdefault(name, []).append(influence)
    # n / (n - 1): the mean of the influences was estimated from the same images
    covariance = {name: np.stack(rows) @ np.stack(rows).T * images / (images - 1) for name, rows in influences.items()}
    return TestResult(measured, covariance, images)


def _influence(scored: TestScores) -> dict[str, NDArray[np.float64]]:
    """Each image's influence on the sum of a model's AUROCs, by comparison: [images]."""
    total: dict[str, NDArray[np.float64]] = {}
    for member, normal in enumerate(scored.config.classes):
        for name, anomalous in scored.anomalous(normal).items():
            shown = anomalous | (scored.labels == normal)
            influence = total.setdefault(name, np.zeros(len(scored.labels)))
            influence[shown.numpy()] += auroc_influence(scored.scores[shown, member], anomalous[shown])
    return total
