"""What is computed from the scores of the test part: variances of images, covariances, seen and unseen anomalies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.evaluation import test_scores as evaluation
from adcore.evaluation.test_scores import (
    TestScores as Scores,  # under its own name pytest would take it for a class of tests
)
from adcore.metrics import auroc_influence
from sweeps.engine.record.home import SweepHome
from sweeps.engine.results import model_scores
from sweeps.engine.results.test_part import score_models
from sweeps.engine.results.test_result import TestResult as Result
from tests.final_parts import CLASSES, MODELS, Opened, confirmed_of, same, tiny_plan, trained_home
from tests.sweep_parts import record_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits_train: ImageDataset) -> SweepHome:
    return trained_home(tmp_path_factory.mktemp("final"), digits_train)


@pytest.fixture(scope="module")
def found(home: SweepHome, digits_test: ImageDataset) -> Result:
    record = record_of(tiny_plan())
    return score_models(record, confirmed_of(record, home), home, Opened(digits_test))


def test_a_result_comes_back_from_json_to_the_last_digit(found: Result) -> None:
    assert same(Result.from_record(json.loads(json.dumps(found.as_record()))), found)


def test_image_variance_is_that_of_means_and_of_differences(found: Result) -> None:
    matrix = found.covariance[""]
    assert matrix.shape == (4, 4)
    own = found.image_variance("", 0)
    assert own == pytest.approx(matrix[:2, :2].sum() / 4)
    assert found.image_variance_of_one("", 0) == pytest.approx((matrix[0, 0] + matrix[1, 1]) / 2)
    between = matrix[:2, 2:].sum() / 4
    difference = own + found.image_variance("", 1) - 2 * between
    assert found.image_variance("", 0, minus=1) == pytest.approx(difference)
    assert found.image_variance("", 1, minus=0) == pytest.approx(difference)
    assert own > 0 < difference


def test_a_class_has_the_image_variance_of_its_own_auroc(found: Result) -> None:
    own = [found.class_variance[0, seed][3] for seed in (1, 2)]
    assert found.image_variance_of_class(0, 3) == pytest.approx(np.mean(own))
    for model, place in zip(MODELS, range(4), strict=True):
        spread = np.sqrt([found.class_variance[model][index] for index in CLASSES])
        bounds = abs(spread[0] - spread[1]) / 2, spread.sum() / 2  # of a mean of two, whatever their correlation
        assert bounds[0] <= np.sqrt(found.covariance[""][place, place]) * (1 + 1e-9) <= bounds[1] * (1 + 2e-9)
    older = {name: value for name, value in found.as_record().items() if name != "class_variance"}
    assert np.isnan(Result.from_record(older).image_variance_of_class(0, 3))


def test_a_configuration_differs_from_itself_by_nothing(found: Result) -> None:
    assert [found.image_variance("", number, minus=number) for number in (0, 1)] == [0, 0]


def test_rounding_makes_no_variance_negative() -> None:
    models = [(number, seed) for number in (0, 1) for seed in (1, 2, 3)]
    for draw in range(50):  # two configurations whose models rank the images alike
        influences = np.random.default_rng(draw).normal(0, 1e-3, (3, 300))[[0, 1, 2, 0, 1, 2]]
        alike = Result({model: {} for model in models}, {"": influences @ influences.T}, images=300)
        assert alike.image_variance("", 0, minus=1) >= 0


# Without detectors: scores of a part of 200 images that depend on configuration, seed and class alone.

LABELS = torch.arange(200) % 10


def _scores_of(number: int, seed: int, index: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(100 * number + 10 * seed + index)
    return torch.rand(len(LABELS), generator=stream) + 0.5 * (index != LABELS)


@pytest.fixture
def _no_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    class Detector:
        def __init__(self, paths: list[Path]) -> None:
            self.number, self.seed = (int(paths[0].parts[place].split("-")[1]) for place in (-3, -2))
            self.classes = tuple(int(path.stem.split("-")[1]) for path in paths)

        def to(self, _: torch.device) -> Detector:
            return self

    def load(paths: list[Path], _channels: int) -> tuple[TrainConfig, Detector]:
        detector = Detector(paths)
        protocol: dict[str, Any] = {"protocol": "seen-unseen", "known_classes": 4} if detector.number == 1 else {}
        return TrainConfig(dataset="digits", classes=detector.classes, **protocol), detector

    def score(detector: Detector, config: TrainConfig, _: ImageDataset) -> Scores:
        columns = [_scores_of(detector.number, detector.seed, index) for index in detector.classes]
        return Scores(config, torch.stack(columns, 1), LABELS)

    monkeypatch.setattr(model_scores, "load_detector", load)
    monkeypatch.setattr(model_scores, "differences_to_record", lambda *_: {})
    monkeypatch.setattr(evaluation, "score_test", score)


@pytest.mark.usefixtures("_no_detectors")
@pytest.mark.parametrize("numbers", [[0], [1]])
def test_seen_and_unseen_anomalies_are_told_apart_where_they_differ(
    numbers: list[int], digits_test: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan())
    chosen = [each for each in confirmed_of(record) if each.number in numbers]
    found = score_models(record, chosen, SweepHome(tmp_path), Opened(digits_test))
    assert list(found.covariance) == (["", "seen", "unseen"] if numbers == [1] else [""])


@pytest.mark.usefixtures("_no_detectors")
def test_the_covariance_is_of_means_over_the_classes_on_the_same_images(
    digits_test: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan())
    found = score_models(record, confirmed_of(record)[:1], SweepHome(tmp_path), Opened(digits_test))
    influences = []
    for seed in (1, 2):
        each = [auroc_influence(_scores_of(0, seed, index), index != LABELS) for index in CLASSES]
        influences.append(np.mean(each, 0))
    expected = np.stack(influences) @ np.stack(influences).T
    np.testing.assert_allclose(found.covariance[""], expected, rtol=1e-12)
