"""Metrics of anomaly scores, as pure functions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor

__all__ = ["METRICS", "auroc_influence", "measure", "measure_one"]

#: The metrics that `measure` returns; anomalies are the positives, except in ap_normal.
METRICS = ("auroc", "ap", "ap_normal", "fpr95", "tpr5")


def measure(scores: Tensor, anomalous: Tensor) -> dict[str, float]:
    """All METRICS of one experiment, each in [0, 1]; all NaN if a score is not finite.

    auroc: area under the ROC curve. ap, ap_normal: average precision with anomalies, with normal images as positives.
    fpr95: share of normal images above the highest threshold that finds 95 % of the anomalies. tpr5: share of
    anomalies found by the lowest threshold that at most 5 % of the normal images pass.
    scores: [n], higher is more anomalous; anomalous: bool [n]. Raises ValueError if all images are of one kind.
    """
    _require_both_kinds(anomalous)
    truth, values = anomalous.cpu().numpy(), scores.double().cpu().numpy()
    if not np.isfinite(values).all():
        return dict.fromkeys(METRICS, float("nan"))
    false_positives, true_positives, _ = roc_curve(truth, values, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(truth, values)),
        "ap": float(average_precision_score(truth, values)),
        "ap_normal": float(average_precision_score(~truth, -values)),
        "fpr95": float(false_positives[np.searchsorted(true_positives, 0.95)]),
        "tpr5": float(true_positives[np.searchsorted(false_positives, 0.05, side="right") - 1]),
    }


def measure_one(metric: str, truth: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
    """One of auroc, ap and fpr95, as `measure` has it. truth: which images are anomalies; values: their scores; [n]."""
    if metric == "fpr95":
        false_positives, true_positives, _ = roc_curve(truth, values, drop_intermediate=False)
        return float(false_positives[np.searchsorted(true_positives, 0.95)])
    return float({"auroc": roc_auc_score, "ap": average_precision_score}[metric](truth, values))


def auroc_influence(scores: Tensor, anomalous: Tensor) -> NDArray[np.float64]:
    """Contribution of each image to AUROC's error; the sum of squares is AUROC's variance over samples of images.

    The placements of DeLong et al. (Biometrics 44, 1988), centred and scaled so that the squares of a kind's n images
    add up to their sample variance over n. Sums over experiments or models preserve their covariance, because they
    share the images. A single image of a kind does not tell how its placement varies: it gets the most that is possible
    with this AUROC, with the same sign in every model, so that it hardly counts in differences between models.
    scores: [n], finite; anomalous: bool [n]. Returns float64 [n]. Raises ValueError if all images are of one kind.
    """
    _require_both_kinds(anomalous)
    truth, values = anomalous.cpu().numpy(), scores.double().cpu().numpy()
    placements = np.empty(len(values))
    for kind in (False, True):
        others = np.sort(values[truth != kind])
        below, up_to = (np.searchsorted(others, values[truth == kind], side=side) for side in ("left", "right"))
        share_below = (below + up_to) / 2 / len(others)  # ties count half
        placements[truth == kind] = share_below if kind else 1 - share_below
    area = placements[truth].mean()
    influence = placements - area
    for kind in (False, True):
        count = int((truth == kind).sum())
        influence[truth == kind] /= math.sqrt(count * max(1, count - 1))
        if count == 1:
            influence[truth == kind] = math.sqrt(area * (1 - area))
    return influence


def _require_both_kinds(anomalous: Tensor) -> None:
    if bool(anomalous.all()) or not bool(anomalous.any()):
        raise ValueError("expected normal and anomalous images, got one kind only")
