"""From anomaly scores to decisions: rules that choose a threshold on validation images, and figures at a threshold.

An image counts as anomalous if its score is at or above the threshold. Scores are [n], higher is more anomalous, and
`anomalous` is bool [n]. All raise ValueError for scores that are not finite, or images of one kind only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_curve,
)
from torch import Tensor

__all__ = [
    "BEST_F1",
    "RULES",
    "TwoScores",
    "at_threshold",
    "best_f1",
    "confusion",
    "decision",
    "decision_rule",
    "difference_of_means",
    "false_positive_budget",
    "fixed",
    "mean_of_means",
    "most_correct",
]

#: The rule whose decisions are shown if only one rule's are, and whose threshold a trained model keeps.
BEST_F1 = "best F1"
#: The share of normal images that may be flagged, where a rule sets one.
FALSE_POSITIVES = 0.05
#: Which scores count as anomalous, as it stands in a checkpoint.
DIRECTION = "at or above"


def fixed(scores: Tensor, anomalous: Tensor, *, value: float = 0.5) -> float:
    """A fixed value, whatever the scores; student reports on Kim et al. 2020 use .5 for scores in [0, 1]."""
    _arrays(scores, anomalous)
    return value


def difference_of_means(scores: Tensor, anomalous: Tensor) -> float:
    """|mean of the anomalies' scores - mean of the normal images' scores|.

    The rule of a student report's GAN. It is not invariant: adding a constant to all scores does not move it.
    """
    normal, other = _means(scores, anomalous)
    return abs(other - normal)


def mean_of_means(scores: Tensor, anomalous: Tensor) -> float:
    """Half-way between the mean score of normal images and that of anomalies.

    A student report's VAE calls an image normal below the anomalies' mean and anomalous above the normal images' mean;
    between the two, where both hold, this threshold decides.
    """
    return sum(_means(scores, anomalous)) / 2


def most_correct(scores: Tensor, anomalous: Tensor) -> float:
    """The threshold with the most correct decisions, the highest of equally good ones; infinite: flag nothing."""
    truth, values = _arrays(scores, anomalous)
    false_positives, true_positives, thresholds = roc_curve(truth, values, drop_intermediate=False)
    correct = true_positives * truth.sum() - false_positives * (~truth).sum()
    return float(thresholds[np.argmax(np.round(correct))])


def best_f1(scores: Tensor, anomalous: Tensor) -> float:
    """The threshold with the highest F1, anomalies being the positives; the lowest of equally good ones.

    It lies half-way to the next lower score: where the kinds are far apart, in the middle between them.
    """
    precision, recall, thresholds = precision_recall_curve(*_arrays(scores, anomalous))
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    place = int(np.argmax(f1[:-1]))
    lower = thresholds[max(0, place - 1)]
    half_way = (thresholds[place] + lower) / 2
    return float(half_way if np.float32(half_way) > np.float32(lower) else thresholds[place])


def false_positive_budget(scores: Tensor, anomalous: Tensor, *, share: float = FALSE_POSITIVES) -> float:
    """The lowest threshold that at most `share` of the normal images reach; infinite if there is none."""
    truth, values = _arrays(scores, anomalous)
    false_positives, _, thresholds = roc_curve(truth, values, drop_intermediate=False)
    return float(thresholds[np.searchsorted(false_positives, share, side="right") - 1])


#: Every rule for one score, by the name it is reported under.
RULES: Mapping[str, Callable[[Tensor, Tensor], float]] = MappingProxyType(
    {
        "fixed": fixed,
        "difference of means": difference_of_means,
        "mean of means": mean_of_means,
        "most correct": most_correct,
        BEST_F1: best_f1,
        "5 % false positives": false_positive_budget,
    }
)


@dataclasses.dataclass(frozen=True)
class TwoScores:
    """Mean and standard deviation of two scores over normal images, to measure an image's distance from both means.

    A student report calls an image anomalous if reconstruction error and density are both further than one common
    threshold from their normal means, that is, if the smaller distance is. Unlike there, both distances are
    divided by the standard deviation, since one threshold for two scales is meaningless, and the density is a
    logarithm. The report's second condition, "normal if both are far from the anomalies' means", can contradict the
    first and is left out.
    """

    means: tuple[float, float]
    spreads: tuple[float, float]

    @classmethod
    def of(cls, first: Tensor, second: Tensor, anomalous: Tensor) -> TwoScores:
        """Measured on validation images: first, second, [n] each. Raises ValueError if a score does not vary."""
        normal = [values[~truth] for truth, values in (_arrays(scores, anomalous) for scores in (first, second))]
        spreads = [float(values.std()) for values in normal]
        if not all(spreads):
            raise ValueError("expected scores that vary over normal images, got equal ones")
        return cls((float(normal[0].mean()), float(normal[1].mean())), (spreads[0], spreads[1]))

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """The smaller of the distances from the normal means, in standard deviations: [n], a score for any rule."""
        if first.shape != second.shape:
            raise ValueError(f"expected equal shapes, got {tuple(first.shape)} and {tuple(second.shape)}")
        by_score = zip((first, second), self.means, self.spreads, strict=True)
        one, other = (((score - mean) / spread).abs() for score, mean, spread in by_score)
        return one.minimum(other)


def decision_rule(scores: Tensor, anomalous: Tensor) -> dict[str, Any]:
    """What a trained model keeps to decide on new images, as plain values; empty if a score is not finite.

    rule: the name of the rule that chose the threshold; threshold; anomalous: on which side of it; images, flagged: of
    the normal images and of the anomalies that it was chosen on, how many there were, and how many of them it flags;
    normal_scores: of these normal images, in their order. Without anomalies the threshold is the scores' 95 % quantile.
    """
    if not scores.isfinite().all():
        return {}
    if anomalous.any():
        rule, threshold = BEST_F1, RULES[BEST_F1](scores, anomalous)
    else:
        rule = f"{1 - FALSE_POSITIVES:.0%} quantile"
        threshold = float(scores.double().quantile(1 - FALSE_POSITIVES, interpolation="higher"))
    flagged = scores.double() >= threshold
    kinds = ~anomalous, anomalous
    return {
        "rule": rule,
        "threshold": threshold,
        "anomalous": DIRECTION,
        "images": [int(kind.sum()) for kind in kinds],
        "flagged": [int(flagged[kind].sum()) for kind in kinds],
        "normal_scores": scores.double()[~anomalous].tolist(),
    }


def decision(score: float, threshold: float | None) -> str:
    """The word for a score: normal or anomalous; empty without a threshold.

    Both are compared as float32 numbers, as networks give scores: printed with nine digits, a score stays the same.
    """
    return "" if threshold is None else "anomalous" if np.float32(score) >= np.float32(threshold) else "normal"


def at_threshold(scores: Tensor, anomalous: Tensor, threshold: float) -> dict[str, float]:
    """accuracy, precision, recall, F1 and false positive rate of the decisions; anomalies are the positives.

    0/0 counts as 0.
    """
    truth, values = _arrays(scores, anomalous)
    flagged = values >= threshold
    options: dict[str, Any] = {"average": "binary", "zero_division": 0}
    precision, recall, f1, _ = precision_recall_fscore_support(truth, flagged, **options)
    return {
        "accuracy": float(accuracy_score(truth, flagged)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "fpr": float(flagged[~truth].mean()),
    }


def confusion(scores: Tensor, anomalous: Tensor, threshold: float) -> NDArray[np.int64]:
    """Numbers of images, [2, 2]: rows are actual kinds, columns predicted kinds; normal, then anomalous."""
    truth, values = _arrays(scores, anomalous)
    return confusion_matrix(truth, values >= threshold)


def _means(scores: Tensor, anomalous: Tensor) -> tuple[float, float]:
    truth, values = _arrays(scores, anomalous)
    return float(values[~truth].mean()), float(values[truth].mean())


def _arrays(scores: Tensor, anomalous: Tensor) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth, values = anomalous.cpu().numpy(), scores.double().cpu().numpy()
    if truth.shape != values.shape or values.ndim != 1:
        raise ValueError(f"expected two shapes [n], got {values.shape} and {truth.shape}")
    if truth.all() or not truth.any():
        raise ValueError("expected normal and anomalous images, got one kind only")
    if not np.isfinite(values).all():
        raise ValueError("expected finite scores")
    return truth, values
