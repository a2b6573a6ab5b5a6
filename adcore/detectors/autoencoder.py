"""The autoencoder with max-pooling of a student report on Kim et al. 2020: a baseline that sees only normal images."""

from __future__ import annotations

from typing import Any

from torch import nn

from adcore.detectors.base.reconstruction import ReconstructionDetector
from adcore.networks import IMAGE_SIZE, added_blocks

__all__ = ["Autoencoder"]


class Autoencoder(ReconstructionDetector):
    """Two 5x5 convolutions, each with ReLU and 4x4 max-pooling, and two 4x4 transposed convolutions of stride 4.

    The report gives kinds and number of layers, sigmoid, squared error and learning rate; sizes and channels (width)
    are ours. The bottleneck has 2x2 pixels: a larger one would reconstruct anomalies, too. So larger images add
    convolutions with 2x2 max-pooling and, after the bottleneck, 2x2 transposed convolutions of stride 2.
    """

    def __init__(self, *, channels: int, width: int, image_size: int = IMAGE_SIZE, **training: Any) -> None:
        def network() -> nn.Sequential:
            down: list[nn.Module] = []
            up: list[nn.Module] = []
            for _ in range(added_blocks(image_size)):
                down += [nn.Conv2d(width, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
                up += [nn.ConvTranspose2d(width, width, 2, stride=2), nn.ReLU()]
            return nn.Sequential(
                nn.Conv2d(channels, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(4),
                nn.Conv2d(width, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(4), *down, *up,
                nn.ConvTranspose2d(width, width, 4, stride=4), nn.ReLU(),
                nn.ConvTranspose2d(width, channels, 4, stride=4), nn.Sigmoid(),
            )  # fmt: skip

        super().__init__(network, **training)
