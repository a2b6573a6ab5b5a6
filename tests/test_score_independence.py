"""An image's score is its own: alone, in a batch or in another order, it is the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.detectors import DETECTORS
from adcore.train import TrainResult
from adcore.train.batch_scores import anomaly_scores

#: A random guess depends on the image's place instead: there is nothing in the image that it uses.
SCORING = [name for name in DETECTORS if name != "random"]
#: Differences in scores around 1 that come from rounding. A difference of log densities is steep in the embedding.
ROUNDING = {"autoencoder-kde": 2e-3}


@pytest.mark.parametrize("name", SCORING)
def test_a_score_does_not_depend_on_the_other_images(
    name: str, whole_run: Callable[[str], TrainResult], digits_test: ImageDataset
) -> None:
    detector, images = whole_run(name).detector, digits_test.images[:40]
    together = anomaly_scores(detector, images)
    assert len(together.unique()) > len(images)  # or nothing is shown
    alone = torch.cat([anomaly_scores(detector, image) for image in images.split(1)])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    among_black_ones = anomaly_scores(detector, torch.cat([torch.zeros_like(images), images]))[len(images) :]
    for other in (alone, anomaly_scores(detector, images[order])[order.argsort()], among_black_ones):
        torch.testing.assert_close(other, together, rtol=1e-4, atol=ROUNDING.get(name, 1e-6))
