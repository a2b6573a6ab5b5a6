"""Convolutional autoencoders of two and of four layers, after a student report on anomalies among MNIST's zeros."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

from torch import nn

from adcore.detectors.reconstruction import ReconstructionDetector

__all__ = ["ConvAutoencoder", "DeepAutoencoder"]


class ConvAutoencoder(ReconstructionDetector):
    """Two 3x3 convolutions of stride 2 and two transposed ones; ReLU within, sigmoid at the end.

    The report gives the number of layers, the activations and both errors, cross-entropy and squared; strides and
    channels (width, doubled with each layer) are ours.
    """

    layers: ClassVar[int] = 2

    def __init__(self, *, channels: int, width: int, **training: Any) -> None:
        sizes = [channels, *(width << layer for layer in range(self.layers))]
        super().__init__(lambda: _network(sizes), **training)


class DeepAutoencoder(ConvAutoencoder):
    """As ConvAutoencoder with four layers each way: the bottleneck is 2x2 pixels of 8 * width channels."""

    layers: ClassVar[int] = 4


def _network(sizes: list[int]) -> nn.Sequential:
    pairs = list(pairwise(sizes))
    down = [nn.Sequential(nn.Conv2d(fewer, more, 3, 2, 1), nn.ReLU()) for fewer, more in pairs]
    up = [
        nn.Sequential(nn.ConvTranspose2d(more, fewer, 3, 2, 1, output_padding=1), nn.ReLU())
        for fewer, more in reversed(pairs)
    ]
    up[-1][1] = nn.Sigmoid()
    return nn.Sequential(*down, *up)
