"""Supervised convolutional networks: a control for results under protocols that show anomalies in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adcore.detectors.base.detector import Batches, full
from adcore.detectors.base.single import SingleDetector
from adcore.networks import IMAGE_SIZE, added_blocks

__all__ = ["CNN", "AlternativeCNN", "Dropout", "balanced_bce"]


def balanced_bce(normal: Tensor, anomalous: Tensor) -> Tensor:
    """Binary cross-entropy of logits with the class weights n / (2 n_c), a scalar: half the sum of the classes' means.

    normal: [n_0], target 0; anomalous: [n_1], target 1. Raises ValueError if one is empty or not of one dimension.
    Reference: the weights of King and Zeng 2001, scikit-learn's class_weight="balanced".
    """
    if normal.dim() != 1 or anomalous.dim() != 1 or not len(normal) or not len(anomalous):
        raise ValueError(f"expected shapes [n] and [m], got {tuple(normal.shape)} and {tuple(anomalous.shape)}")
    return (F.softplus(normal).mean() + F.softplus(-anomalous).mean()) / 2


class Dropout(nn.Module):
    """Dropout with masks from `stream`, a CPU generator, so that they depend neither on device nor on other members."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.stream: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or not self.share:
            return values
        kept = torch.rand(values.shape, generator=self.stream) >= self.share
        return values * kept.to(values) / (1 - self.share)


class CNN(SingleDetector):
    """Three 3x3 convolutions with ReLU and 2x2 pooling, dense layers of 256 and 128 with dropout, one logit as score.

    After a student report on anomalies among MNIST's zeros (cross-entropy, class weights n / (2 n_c), dropout .2, dense
    256 and 128); number and channels of the convolutions (width, 2 and 4 times it) are ours. Classes are weighted by
    their numbers in a batch. Each doubling of the image's side adds a 3x3 convolution with 2x2 pooling. A step cannot
    be captured as a CUDA graph: its dropout is drawn on the CPU.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "dropout", "learning_rate", "schedule", "weight_decay",
    )  # fmt: skip
    search: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"learning_rate": (1e-4, 1e-2), "weight_decay": (1e-7, 1e-3)}
    )
    #: Kernel, pooling window and channels as a multiple of width, of each convolution.
    layers: ClassVar[Sequence[tuple[int, int, int]]] = ((3, 2, 1), (3, 2, 2), (3, 2, 4))

    def __init__(
        self, *, channels: int, width: int, dropout: float, image_size: int = IMAGE_SIZE, **training: Any
    ) -> None:
        layers = [*self.layers, *[(3, 2, self.layers[-1][2])] * added_blocks(image_size)]
        super().__init__(lambda: _network(layers, channels, width, dropout, image_size), **training)

    def begin_epoch(self, epoch: int, batches: Batches) -> None:
        super().begin_epoch(epoch, batches)
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.stream = self.noise

    def losses(self, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        logits = full(self.network(torch.cat([normal, anomalous]))[:, 0])
        return {"cross_entropy": balanced_bce(logits[: len(normal)], logits[len(normal) :])}

    def scores(self, images: Tensor) -> Tensor:
        return self.network(images)[:, 0]


class AlternativeCNN(CNN):
    """The report's smaller variant: 5x5 with 2x2 pooling, then 3x3 with pooling of 1x1, which changes nothing."""

    layers: ClassVar[Sequence[tuple[int, int, int]]] = ((5, 2, 1), (3, 1, 2))


def _network(
    convolutions: Sequence[tuple[int, int, int]], channels: int, width: int, dropout: float, side: int
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for kernel, pool, factor in convolutions:
        layers += [nn.Conv2d(channels, factor * width, kernel, padding=kernel // 2), nn.ReLU(), nn.MaxPool2d(pool)]
        channels, side = factor * width, side // pool
    for size_in, size_out in ((channels * side**2, 256), (256, 128)):
        layers += [nn.Flatten(), nn.Linear(size_in, size_out), nn.ReLU(), Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(128, 1))
