"""Convolutional autoencoders of two and of four layers, after a student report on anomalies among MNIST's zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import nn

from adcore.detectors.base.reconstruction import ReconstructionDetector
from adcore.networks import IMAGE_SIZE, added_blocks

__all__ = ["ConvAutoencoder", "DeepAutoencoder"]


class ConvAutoencoder(ReconstructionDetector):
    """A 5x5 convolution of stride 4, one over all of the remaining 8x8 pixels, and both transposed.

    ReLU inside, sigmoid at the end. The report gives the number of layers, the activations and both errors,
    cross-entropy and squared; sizes and channels (width, then 2 * width in the bottleneck) are ours. The second layer
    is global: local ones would reconstruct anomalies from the same strokes. Larger images add 3x3 convolutions of
    stride 2 before it.
    """

    #: Kernel, stride, padding and channels as a multiple of width, of each convolution.
    layers: ClassVar[Sequence[tuple[int, int, int, int]]] = ((5, 4, 2, 1), (8, 1, 0, 2))

    def __init__(self, *, channels: int, width: int, image_size: int = IMAGE_SIZE, **training: Any) -> None:
        *first, last = self.layers
        added = [(3, 2, 1, first[-1][3])] * added_blocks(image_size)
        super().__init__(lambda: _network([*first, *added, last], channels, width), **training)


class DeepAutoencoder(ConvAutoencoder):
    """ConvAutoencoder with four 3x3 layers of stride 2 each way: 2x2 pixels of 8 * width channels in between."""

    layers: ClassVar[Sequence[tuple[int, int, int, int]]] = tuple((3, 2, 1, 1 << layer) for layer in range(4))


def _network(layers: Sequence[tuple[int, int, int, int]], channels: int, width: int) -> nn.Sequential:
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    last: nn.Module = nn.Sigmoid()
    for kernel, stride, padding, multiple in layers:
        more = multiple * width
        down += [nn.Conv2d(channels, more, kernel, stride, padding), nn.ReLU()]
        # a transposed convolution returns stride * pixels if output padding makes up for the pixels cut off
        back = nn.ConvTranspose2d(more, channels, kernel, stride, padding, output_padding=stride - 1)
        up = [back, last, *up]
        channels, last = more, nn.ReLU()
    return nn.Sequential(*down, *up)
