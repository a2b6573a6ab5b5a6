"""Random scores: the value of every metric without any detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from adcore.detectors.base.detector import Detector
from adcore.detectors.base.optimisation import MemberAdam
from adcore.networks import IMAGE_SIZE
from adcore.random_streams import generator

__all__ = ["RandomGuess"]


class RandomGuess(Detector):
    """Scores uniform in [0, 1), whatever the image; nothing is trained, so there is nothing to capture.

    The n-th image of a batch gets the n-th number of the member's stream, so that scores are reproducible.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("image_size",)

    def __init__(self, *, channels: int, generators: Sequence[torch.Generator], image_size: int = IMAGE_SIZE) -> None:
        super().__init__(generators)

    def step(self, normal: Tensor, anomalous: Tensor, optimizers: Sequence[MemberAdam]) -> dict[str, Tensor]:
        """Do nothing: there is nothing to learn."""
        return {}

    def score(self, images: Tensor) -> Tensor:
        """images: [batch, channels, size, size]. Returns [batch, members]."""
        drawn = [torch.rand(len(images), generator=generator(seed, 0, "noise")) for seed in self.seeds]
        return torch.stack(drawn, 1).to(images)
