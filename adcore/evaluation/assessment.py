"""Assessment of a trained detector: thresholds from validation images, decisions on test images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.evaluation.test_scores import score_test, tested_positions
from adcore.protocols.definitions import validation_images
from adcore.thresholds import BEST_F1, RULES, TwoScores, at_threshold, confusion, most_correct
from adcore.train.batch_scores import anomaly_scores, by_batch
from adcore.train.build import split_train
from adcore.train.pack import Pack

__all__ = ["BEST_F1", "TWO_SCORES", "Assessment", "Decisions", "assess"]

#: The rule of thresholds.TwoScores, for detectors with two scores: most correct by distance from both normal means.
TWO_SCORES = "two scores"


@dataclasses.dataclass(frozen=True, eq=False)
class Decisions:
    """A rule's decisions on the test images.

    threshold: from validation images; infinite if the rule flags nothing. figures: accuracy, precision, recall, f1,
    fpr, as from thresholds.at_threshold. confusion: as from thresholds.confusion, [2, 2].
    """

    threshold: float
    figures: dict[str, float]
    confusion: NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Assessment:
    """One experiment of config on the test part.

    scores: [n] of test images; anomalous: bool [n]. validated_on: numbers of normal images and of anomalies that
    thresholds were chosen on. measured: as from TestScores.measured. decisions: by name of the
    rule, of thresholds.RULES and, for detectors with two scores, TWO_SCORES; empty if a score is not finite.
    """

    config: TrainConfig
    experiment: int
    scores: Tensor
    anomalous: Tensor
    validated_on: tuple[int, int]
    measured: dict[str, float]
    decisions: dict[str, Decisions]

    @property
    def tested_on(self) -> tuple[int, int]:
        """Numbers of normal images and of anomalies of the test part."""
        return _counts(self.anomalous)

    def metrics(self) -> dict[str, float]:
        """All finite figures (trackers take no others) by names of letters, digits and underscores.

        test_<metric> for each metric in `measured`; threshold_<rule>, test_accuracy_<rule> etc. for each rule in
        `decisions`.
        """
        metrics = {f"test_{name}": value for name, value in self.measured.items()}
        for rule, decisions in self.decisions.items():
            name = "_".join(rule.lower().replace("%", "percent").split())
            metrics[f"threshold_{name}"] = decisions.threshold
            metrics |= {f"test_{figure}_{name}": value for figure, value in decisions.figures.items()}
        return {name: value for name, value in metrics.items() if math.isfinite(value)}


def assess(
    detector: Pack, config: TrainConfig, train_part: ImageDataset, test_part: ImageDataset
) -> dict[int, Assessment]:
    """Assess each experiment of config, by class: thresholds from its validation images, figures on the test part.

    Validation images are those of the train part that config's training was validated on, of the kinds that the
    experiment may use. Opening the test part is the caller's decision. Raises UserError for a test part without
    normal images or without anomalies of an experiment.
    """
    test = score_test(detector, config, test_part)
    measured = test.measured()
    validation = split_train(config, train_part.labels).validation
    images, labels = train_part.images[validation], train_part.labels[validation]
    scores = anomaly_scores(detector, images, mirrored=config.mirrored_scores)
    pairs = test_pairs = None
    if detector.kind.has_named_scores:
        test_images = test_part.images[tested_positions(config, test_part.labels)]
        pairs, test_pairs = (_score_pairs(detector, config, part) for part in (images, test_images))
    assessments: dict[int, Assessment] = {}
    for member, experiment in enumerate(config.classes):
        shown, truth = validation_images(labels, config.exposure, experiment, config.split_seed)
        kinds = truth[shown], ~test.normal(experiment)
        member_scores = scores[shown, member], test.scores[:, member]
        decisions = _decide(RULES, member_scores, kinds)
        if pairs is not None and test_pairs is not None:
            decisions |= _decide_by_two((pairs[shown, member], test_pairs[:, member]), kinds)
        assessments[experiment] = Assessment(
            config, experiment, member_scores[1], kinds[1], _counts(kinds[0]), measured[experiment], decisions
        )
    return assessments


def _counts(anomalous: Tensor) -> tuple[int, int]:
    """How many images are normal, and how many are not. anomalous: bool [n]."""
    return int((~anomalous).sum()), int(anomalous.sum())


def _decide(
    rules: Mapping[str, Callable[[Tensor, Tensor], float]],
    scores: tuple[Tensor, Tensor],
    anomalous: tuple[Tensor, Tensor],
) -> dict[str, Decisions]:
    """Each rule's decisions; none if a score is not finite. scores, anomalous: of validation and of test, [n] each."""
    if not all(part.isfinite().all() for part in scores):
        return {}
    decisions: dict[str, Decisions] = {}
    for name, rule in rules.items():
        threshold = rule(scores[0], anomalous[0])
        on_test = scores[1], anomalous[1], threshold
        decisions[name] = Decisions(threshold, at_threshold(*on_test), confusion(*on_test))
    return decisions


def _decide_by_two(pairs: tuple[Tensor, Tensor], anomalous: tuple[Tensor, Tensor]) -> dict[str, Decisions]:
    """Decisions by distance from both scores' normal means; empty if it is undefined. pairs: [n, 2] each."""
    try:
        normal = TwoScores.of(pairs[0][:, 0], pairs[0][:, 1], anomalous[0])
    except ValueError:  # a score that is not finite, or the same for every normal image, has no unit of distance
        return {}
    validation, test = (normal.distance(pair[:, 0], pair[:, 1]) for pair in pairs)
    return _decide({TWO_SCORES: most_correct}, (validation, test), anomalous)


def _score_pairs(detector: Pack, config: TrainConfig, images: Tensor) -> Tensor:
    """Reconstruction error and log density under normal images of each uint8 image: [n, members, 2]."""

    def pair(plain: Tensor) -> Tensor:
        named = detector.scores_by_name(plain)
        return torch.stack([named["reconstruction"], named["log_density_normal"]], 2)

    return by_batch(detector, images, pair, mirrored=config.mirrored_scores)
