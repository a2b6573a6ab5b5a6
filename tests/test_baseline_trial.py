"""What a baseline's trial reports of its model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.evaluation.assessment import TWO_SCORES, Assessment, Decisions
from adcore.protocols.definitions import known_anomalies
from adcore.train import train
from adcore.train.batch_scores import anomaly_scores
from adcore.train.build import split_train
from sweeps.engine.baselines.trial import _auroc_of_decisions, _held_out_accuracy


def assessment(**confusions: list[list[int]]) -> Assessment:
    decisions = {
        name.replace("_", " "): Decisions(0.5, {}, np.array(confusion)) for name, confusion in confusions.items()
    }
    kinds = torch.tensor([False, True])
    return Assessment(TrainConfig(dataset="digits"), 0, torch.zeros(2), kinds, (1, 1), {}, decisions)


def test_the_auroc_of_decisions_is_the_mean_of_both_rates() -> None:
    # 8 of 10 normal images and 9 of 30 anomalies are recognised
    assert _auroc_of_decisions(assessment(most_correct=[[8, 2], [21, 9]])) == pytest.approx((0.8 + 0.3) / 2)


def test_a_detector_with_two_scores_decides_by_both() -> None:
    both = assessment(most_correct=[[8, 2], [21, 9]], two_scores=[[10, 0], [0, 30]])
    assert TWO_SCORES in both.decisions
    assert _auroc_of_decisions(both) == 1


@pytest.mark.parametrize("changes", [{"protocol": "paper"}, {"protocol": "seen-unseen", "known_classes": 2}])
def test_a_fold_is_judged_by_logits_on_its_own_images(changes: dict[str, Any], digits_train: ImageDataset) -> None:
    settings = TrainConfig(
        dataset="digits", detector="cnn", classes=(3,), fold=2, width=4, epochs=1, sampling="random", **changes
    )
    detector = train(settings, lambda _: None, data=digits_train).detector
    held_out = split_train(settings, digits_train.labels).validation
    labels = digits_train.labels[held_out]
    # anomalies of classes that it may not know are not looked at
    shown = torch.isin(labels, torch.tensor([3, *known_anomalies(settings.exposure, 3, 10, settings.split_seed)]))
    right = (anomaly_scores(detector, digits_train.images[held_out])[:, 0] >= 0) == (labels != 3)
    assert 0 < right[shown].float().mean() < 1
    assert _held_out_accuracy(detector, settings, digits_train) == pytest.approx(right[shown].float().mean().item())
