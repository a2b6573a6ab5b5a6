"""Anomaly scores to figures: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

__all__ = ["auroc"]


def auroc(scores: Tensor, labels: Tensor, classes: Sequence[int]) -> list[float]:
    """Area under the ROC curve of each experiment, anomalies being the positives.

    scores: [n, members], higher is more anomalous; labels: int64 [n]; classes: the normal class of each member.
    Returns one value per member in [0, 1]; NaN for a member with a score that is not finite.
    Raises ValueError if a member's class is absent from labels, or is the only one there.
    """
    values: list[float] = []
    for member, normal in enumerate(classes):
        own = scores[:, member].double().cpu()
        anomalous = (labels != normal).cpu()
        if anomalous.all() or not anomalous.any():
            raise ValueError(f"class {normal}: expected normal and anomalous images, got one kind only")
        finite = bool(torch.isfinite(own).all())
        values.append(float(roc_auc_score(anomalous.numpy(), own.numpy())) if finite else float("nan"))
    return values
