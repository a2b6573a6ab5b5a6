"""Convolutional autoencoders of two and of four layers, after a student report on anomalies among MNIST's zeros."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

from torch import nn

from adcore.detectors.reconstruction import ReconstructionDetector

__all__ = ["ConvAutoencoder", "DeepAutoencoder"]


class ConvAutoencoder(ReconstructionDetector):
    """Two 5x5 convolutions of stride 4 and two transposed ones; ReLU within, sigmoid at the end.

    The report gives the number of layers, the activations and both errors, cross-entropy and squared; strides and
    channels (width, doubled with each layer) are ours. The bottleneck has 2x2 pixels of 2 * width channels: what keeps
    more of an image reconstructs anomalies, too.
    """

    layers: ClassVar[int] = 2
    stride: ClassVar[int] = 4

    def __init__(self, *, channels: int, width: int, **training: Any) -> None:
        sizes = [channels, *(width << layer for layer in range(self.layers))]
        super().__init__(lambda: _network(sizes, self.stride), **training)


class DeepAutoencoder(ConvAutoencoder):
    """As ConvAutoencoder with four 3x3 layers of stride 2 each way: 2x2 pixels of 8 * width channels in between."""

    layers: ClassVar[int] = 4
    stride: ClassVar[int] = 2


def _network(sizes: list[int], stride: int) -> nn.Sequential:
    kernel, padding, pairs = stride + 1, stride // 2, list(pairwise(sizes))
    down = [nn.Sequential(nn.Conv2d(fewer, more, kernel, stride, padding), nn.ReLU()) for fewer, more in pairs]
    up = [
        nn.Sequential(nn.ConvTranspose2d(more, fewer, kernel, stride, padding, output_padding=stride - 1), nn.ReLU())
        for fewer, more in reversed(pairs)
    ]
    up[-1][1] = nn.Sigmoid()
    return nn.Sequential(*down, *up)
