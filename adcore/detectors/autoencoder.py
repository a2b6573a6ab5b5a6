"""The autoencoder with max-pooling of a student report on Kim et al. 2020: a baseline that sees normal images alone."""

from __future__ import annotations

from typing import Any

from torch import nn

from adcore.detectors.reconstruction import ReconstructionDetector

__all__ = ["Autoencoder"]


class Autoencoder(ReconstructionDetector):
    """Two 3x3 convolutions, each with ReLU and 2x2 max-pooling, and two 2x2 transposed convolutions of stride 2.

    The report gives kinds and number of layers, sigmoid, squared error and learning rate; kernel sizes and channels
    (width, then a quarter of it in the bottleneck of 8x8 pixels) are ours.
    """

    def __init__(self, *, channels: int, width: int, **training: Any) -> None:
        narrow = max(1, width // 4)

        def network() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(width, narrow, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.ConvTranspose2d(narrow, width, 2, stride=2), nn.ReLU(),
                nn.ConvTranspose2d(width, channels, 2, stride=2), nn.Sigmoid(),
            )  # fmt: skip

        super().__init__(network, **training)
