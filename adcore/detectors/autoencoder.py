"""The autoencoder with max-pooling of a student report on Kim et al. 2020: a baseline that sees only normal images."""

from __future__ import annotations

from typing import Any

from torch import nn

from adcore.detectors.reconstruction import ReconstructionDetector

__all__ = ["Autoencoder"]


class Autoencoder(ReconstructionDetector):
    """Two 5x5 convolutions, each with ReLU and 4x4 max-pooling, and two 4x4 transposed convolutions of stride 4.

    The report gives kinds and number of layers, sigmoid, squared error and learning rate; sizes and channels (width)
    are ours. The bottleneck has 2x2 pixels: a larger one would reconstruct anomalies, too.
    """

    def __init__(self, *, channels: int, width: int, **training: Any) -> None:
        def network() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(4),
                nn.Conv2d(width, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(4),
                nn.ConvTranspose2d(width, width, 4, stride=4), nn.ReLU(),
                nn.ConvTranspose2d(width, channels, 4, stride=4), nn.Sigmoid(),
            )  # fmt: skip

        super().__init__(network, **training)
