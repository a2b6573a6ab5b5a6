"""Assessment: thresholds from validation images alone, figures of test images."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.evaluation.assessment import BEST_F1, TWO_SCORES, Assessment, assess
from adcore.evaluation.test_scores import score_test
from adcore.metrics import METRICS
from adcore.protocols.definitions import known_anomalies
from adcore.thresholds import RULES, TwoScores, at_threshold, best_f1, most_correct
from adcore.train.batch_scores import anomaly_scores, by_batch
from adcore.train.build import split_train
from tests.train_runs import trained

FIGURES = ("accuracy", "precision", "recall", "f1", "fpr")


def changed(data: ImageDataset, where: torch.Tensor) -> ImageDataset:
    """The data with other pixels where they are asked for."""
    images = data.images.clone()
    images[where] = 255 - images[where]
    return dataclasses.replace(data, images=images)


def thresholds(found: dict[int, Assessment]) -> dict[int, dict[str, float]]:
    return {index: {name: own.threshold for name, own in each.decisions.items()} for index, each in found.items()}


def test_thresholds_are_of_the_validation_images_an_experiment_may_look_at_and_of_no_others(
    digits_train: ImageDataset, digits_test: ImageDataset
) -> None:
    settings, result = trained(digits_train, "autoencoder-kde", protocol="seen-unseen", known_classes=2)
    given = (result.detector, settings)
    before = assess(*given, digits_train, digits_test)
    assert set(thresholds(before)[0]) == {*RULES, TWO_SCORES}
    other_test = assess(*given, digits_train, changed(digits_test, digits_test.labels >= 0))
    assert thresholds(other_test) == thresholds(before)
    assert other_test[0].measured != before[0].measured

    validation = torch.zeros(len(digits_train.labels), dtype=torch.bool)
    validation[split_train(settings, digits_train.labels).validation] = True
    assert thresholds(assess(*given, changed(digits_train, ~validation), digits_test)) == thresholds(before)
    known = known_anomalies(settings.exposure, 3, 10, settings.split_seed)
    unseen = ~torch.isin(digits_train.labels, torch.tensor([3, *known]))
    assert (
        thresholds(assess(*given, changed(digits_train, validation & unseen), digits_test))[3]
        == (thresholds(before)[3])
    )
    images = digits_train.images.clone()
    images[validation & torch.isin(digits_train.labels, torch.tensor(known))] = images[digits_train.labels == 3][0]
    moved = thresholds(assess(*given, dataclasses.replace(digits_train, images=images), digits_test))[3]
    assert moved[BEST_F1] != thresholds(before)[3][BEST_F1], "the known anomalies look normal now"


@pytest.mark.parametrize("changes", [{}, {"mirrored_scores": True, "images_per_class": 15}])
def test_figures_are_those_of_counting_test_images_at_the_threshold(
    changes: dict[str, Any], digits_train: ImageDataset, digits_test: ImageDataset
) -> None:
    settings, result = trained(digits_train, "cnn", **changes)
    scored = score_test(result.detector, settings, digits_test)
    kept = split_train(settings, digits_train.labels).validation
    validated = anomaly_scores(result.detector, digits_train.images[kept], mirrored=settings.mirrored_scores)
    for member, (index, own) in enumerate(assess(result.detector, settings, digits_train, digits_test).items()):
        assert index == settings.classes[member]
        assert len(own.decisions) == len(RULES) == 6
        anomalous = scored.labels != index
        chosen = best_f1(validated[:, member], digits_train.labels[kept] != index)
        assert own.decisions[BEST_F1].threshold == chosen
        for each in own.decisions.values():
            flagged = scored.scores[:, member].double() >= each.threshold
            tp, fp = int((flagged & anomalous).sum()), int((flagged & ~anomalous).sum())
            fn, tn = int(anomalous.sum()) - tp, int((~anomalous).sum()) - fp
            assert each.confusion.tolist() == [[tn, fp], [fn, tp]]
            ratios = ((tp + tn, len(flagged)), (tp, tp + fp), (tp, tp + fn), (2 * tp, 2 * tp + fp + fn), (fp, fp + tn))
            expected = [part / whole if whole else 0.0 for part, whole in ratios]
            assert [each.figures[name] for name in FIGURES] == pytest.approx(expected)


def test_metrics_are_flat_finite_and_named_like_identifiers(
    digits_train: ImageDataset, digits_test: ImageDataset
) -> None:
    settings, result = trained(digits_train, "autoencoder-kde")
    own = assess(result.detector, settings, digits_train, digits_test)[3]
    found = own.metrics()
    assert len(found) == len(METRICS) + 7 * 6
    assert all(name.isidentifier() and math.isfinite(value) for name, value in found.items())
    assert found["test_auroc"] == own.measured["auroc"]
    assert found["test_accuracy_5_percent_false_positives"] > 0
    two = own.decisions[TWO_SCORES]
    assert (found["threshold_two_scores"], found["test_f1_two_scores"]) == (two.threshold, two.figures["f1"])
    nothing = dataclasses.replace(two, threshold=math.inf)
    without = dataclasses.replace(own, decisions={"most correct": nothing}).metrics()
    assert "threshold_most_correct" not in without
    assert without["test_accuracy_most_correct"] == two.figures["accuracy"]


def test_two_scores_are_measured_and_their_threshold_chosen_on_validation_images(
    digits_train: ImageDataset, digits_test: ImageDataset
) -> None:
    settings, result = trained(digits_train, "autoencoder-kde")
    detector = result.detector
    found = assess(detector, settings, digits_train, digits_test)
    kept = split_train(settings, digits_train.labels).validation
    parts = (digits_train.images[kept], digits_train.labels[kept]), (digits_test.images, digits_test.labels)
    for member, index in enumerate((0, 3)):
        (error, density, truth), test = (
            (
                *(by_batch(detector, images, lambda x, n=name: detector.scores_by_name(x)[n])[:, member]
                  for name in ("reconstruction", "log_density_normal")),
                labels != index,
            )
            for images, labels in parts
        )  # fmt: skip
        rule = TwoScores.of(error, density, truth)
        own = found[index].decisions[TWO_SCORES]
        assert own.threshold == most_correct(rule.distance(error, density), truth)
        assert own.figures == at_threshold(rule.distance(*test[:2]), test[2], own.threshold)


@pytest.mark.parametrize(("kept", "missing"), [(3, "anomalies of experiment 3"), (1, "normal images of experiment 3")])
def test_a_test_part_of_one_kind_is_refused(
    kept: int, missing: str, digits_train: ImageDataset, digits_test: ImageDataset
) -> None:
    settings, result = trained(digits_train, "random", classes=(3,))
    own = digits_test.labels == kept
    part = dataclasses.replace(digits_test, images=digits_test.images[own], labels=digits_test.labels[own])
    with pytest.raises(UserError, match=missing):
        assess(result.detector, settings, digits_train, part)
