"""Random scores: what every figure is worth without any detection."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adcore.detectors.base import Detector
from adcore.streams import generator

__all__ = ["RandomGuess"]


class RandomGuess(Detector):
    """Scores uniform in [0, 1), whatever the image; nothing is trained.

    The n-th image of a batch gets the n-th number of the member's stream, so that scores can be had again.
    """

    def __init__(
        self, *, channels: int, steps_per_epoch: int, epochs: int, generators: Sequence[torch.Generator]
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.seeds = [each.initial_seed() for each in generators]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Nothing is learnt."""

    def score(self, images: Tensor) -> Tensor:
        """images: [batch, channels, 32, 32]. Returns [batch, members]."""
        drawn = [torch.rand(len(images), generator=generator(seed, 0, "noise")) for seed in self.seeds]
        return torch.stack(drawn, 1).to(images)

    def configure_optimizers(self) -> None:
        """None: there is nothing to optimise."""
