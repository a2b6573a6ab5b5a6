"""Deep SVDD and Deep SAD: map normal images close to a centre, and score by the distance from it.

Ruff et al., "Deep One-Class Classification", ICML 2018; "Deep Semi-Supervised Anomaly Detection", ICLR 2020 (arXiv
1906.02694).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adcore.detectors.base.detector import Batches, full
from adcore.detectors.base.single import SingleDetector
from adcore.networks import IMAGE_SIZE, added_blocks

__all__ = ["DeepSAD", "DeepSVDD", "inverse_distance", "squared_distance"]

#: Minimum distance of a centre's coordinates from 0, so that no unit can reach its coordinate with zero weights.
MARGIN = 0.1
#: Keeps the inverse of a distance finite, as in the authors' code.
EPSILON = 1e-6


def squared_distance(embedding: Tensor, centre: Tensor) -> Tensor:
    """||phi(x) - c||^2 of each image, Deep SVDD's loss and both detectors' score.

    embedding: [batch, latent]; centre: [latent]. Returns [batch]. Raises ValueError for other shapes.
    """
    if embedding.dim() != 2 or embedding.shape[1:] != centre.shape:
        raise ValueError(f"expected [n, d] and [d], got {tuple(embedding.shape)} and {tuple(centre.shape)}")
    return (embedding - centre).square().sum(1)


def inverse_distance(embedding: Tensor, centre: Tensor) -> Tensor:
    """(||phi(x) - c||^2 + EPSILON)^-1 of each image: Deep SAD's loss of labelled anomalies. Shapes as above."""
    return 1 / (squared_distance(embedding, centre) + EPSILON)


class DeepSVDD(SingleDetector):
    """One-class Deep SVDD on normal images: the mean squared distance from the centre of the first embeddings.

    Layers as in the authors' network for 32x32 pixels (width 32 and latent_size 128 there), without biases, which could
    map everything to the centre; larger images add blocks of 4 * width channels. Two differences: training starts from
    random weights instead of a pretrained autoencoder's, and images get no global contrast normalisation.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "latent_size", "learning_rate", "schedule", "weight_decay",
    )  # fmt: skip
    search: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"learning_rate": (1e-5, 1e-2), "weight_decay": (1e-7, 1e-3)}
    )
    has_normal_loss: ClassVar[bool] = True
    capturable: ClassVar[bool] = True
    centre: Tensor

    def __init__(
        self, *, channels: int, width: int, latent_size: int, image_size: int = IMAGE_SIZE, **training: Any
    ) -> None:
        super().__init__(lambda: _network(channels, width, latent_size, image_size), **training)
        self.register_buffer("centre", torch.zeros(latent_size))

    def begin_epoch(self, epoch: int, batches: Batches) -> None:
        super().begin_epoch(epoch, batches)
        if epoch == 0:
            self.centre = self._mean_embedding(batches)

    def losses(self, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        return {"distance": squared_distance(full(self.network(normal)), self.centre).mean()}

    def scores(self, images: Tensor) -> Tensor:
        return squared_distance(self.network(images), self.centre)

    def normal_losses(self, images: Tensor) -> Tensor:
        """The score, which is also the loss of a normal image."""
        return self.scores(images)

    def _mean_embedding(self, batches: Batches) -> Tensor:
        """Mean embedding of an epoch's normal images, kept away from 0: [latent]."""
        total, count = torch.zeros_like(self.centre), 0
        with self.evaluating():
            for normal, _ in batches():
                total += self.network(normal).sum(0)
                count += len(normal)
        mean = total / count
        return torch.where(mean < 0, mean.clamp_max(-MARGIN), mean.clamp_min(MARGIN))


class DeepSAD(DeepSVDD):
    """Deep SVDD that also pushes labelled anomalies away, by their inverse distances: equation 7 of Ruff et al. 2020.

    A batch's mean distance has weight 1 - s and its mean inverse distance weight s, the labelled_share, however often
    anomalies are repeated in the batch. So every image has the same weight, the paper's eta = 1, where there are as
    many labelled anomalies as that share says; fewer weigh more each. Without labelled anomalies it is Deep SVDD.
    """

    config_fields: ClassVar[tuple[str, ...]] = (*DeepSVDD.config_fields, "labelled_share")
    has_normal_loss: ClassVar[bool] = False

    def __init__(self, *, labelled_share: float, **training: Any) -> None:
        super().__init__(**training)
        self.labelled_share = labelled_share

    def losses(self, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        embeddings = full(self.network(torch.cat([normal, anomalous])))
        near, far = embeddings[: len(normal)], embeddings[len(normal) :]
        distance = squared_distance(near, self.centre).mean()
        if not len(anomalous):
            return {"distance": distance}
        inverse = inverse_distance(far, self.centre).mean()
        share = self.labelled_share
        return {"distance": (1 - share) * distance, "inverse_distance": share * inverse}


def _network(channels: int, width: int, latent_size: int, image_size: int) -> nn.Sequential:
    """Images [batch, channels, size, size] to embeddings [batch, latent_size]; the last convolution has 4x4 pixels."""
    layers: list[nn.Module] = []
    for wide in (width, 2 * width, *[4 * width] * (1 + added_blocks(image_size))):
        layers += [
            nn.Conv2d(channels, wide, 5, padding=2, bias=False),
            nn.BatchNorm2d(wide, eps=1e-4, affine=False),
            nn.LeakyReLU(),
            nn.MaxPool2d(2),
        ]
        channels = wide
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * (IMAGE_SIZE // 8) ** 2, latent_size, bias=False))
