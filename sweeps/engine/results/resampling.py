"""How a metric varies with the images, by the bootstrap: for metrics without placements such as AUROC's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from adcore.metrics import measure_one

if TYPE_CHECKING:
    from adcore.evaluation.test_scores import TestScores

__all__ = ["resampled_deviations"]

#: Resamples of the test part, the same for all models and classes: their covariance needs that.
RESAMPLES, SEED = 100, 0


def resampled_deviations(
    test_scores: TestScores, experiment: int, metric: str, *, redrawn: Tensor | None = None
) -> dict[str, NDArray[np.float64]]:
    """By comparison, the deviations of an experiment's metric over resamples of the test part, [RESAMPLES].

    Images are drawn with replacement within each class. The sum of squares is the metric's variance, and the deviations
    of several experiments and models can be added, as those of adcore.metrics.auroc_influence.
    redrawn: whole classes to draw from, bool [n]; the images of the others stay as they are. None: all are drawn.
    """
    member = test_scores.config.classes.index(experiment)
    scores, labels = test_scores.scores[:, member].double().cpu().numpy(), test_scores.labels.cpu().numpy()
    normal = test_scores.normal(experiment).cpu().numpy()
    kinds = {name: mask.cpu().numpy() for name, mask in test_scores.anomalous(experiment).items()}
    values: dict[str, list[float]] = {name: [] for name in kinds}
    draw = np.random.default_rng(SEED)
    by_class = [np.flatnonzero(labels == index) for index in np.unique(labels)]
    is_redrawn = np.ones(len(labels), bool) if redrawn is None else redrawn.cpu().numpy()
    for _ in range(RESAMPLES):
        drawn = np.concatenate(
            [draw.choice(images, len(images)) if is_redrawn[images[0]] else images for images in by_class]
        )
        for name, anomalous in kinds.items():
            shown = drawn[(anomalous | normal)[drawn]]
            values[name].append(measure_one(metric, anomalous[shown], scores[shown]))
    return {name: (np.array(own) - np.mean(own)) / np.sqrt(RESAMPLES - 1) for name, own in values.items()}
