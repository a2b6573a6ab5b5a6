"""Detectors of one plain network for one experiment: a pack has one for each member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from adcore.detectors.base.detector import Batches, Detector
from adcore.detectors.base.optimisation import MemberAdam
from adcore.random_streams import generator

__all__ = ["SingleDetector"]


class SingleDetector(Detector):
    """A network for one experiment; a step minimises the sum of its losses.

    network: makes the network, whose layers' default initial weights are drawn from the generator. parts: the
    submodules with an Adam each; () for one Adam over the whole network. noise: generator of an epoch's other draws.
    """

    parts: ClassVar[tuple[str, ...]] = ()
    noise: torch.Generator

    def __init__(self, network: Callable[[], nn.Module], *, generators: Sequence[torch.Generator]) -> None:
        super().__init__(generators)
        [self.seed] = self.seeds
        with torch.random.fork_rng(devices=[]):  # layers draw from the global generator: give it the member's seed
            torch.manual_seed(self.seed)
            self.network = network()

    def losses(self, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        """Losses by name, scalars, whose sum a step minimises.

        normal, anomalous: [half, channels, size, size] in [-1, 1]; the second may be empty.
        """
        raise NotImplementedError

    def scores(self, images: Tensor) -> Tensor:
        """Anomaly scores, [batch], of images [batch, channels, size, size] in [-1, 1]."""
        raise NotImplementedError

    def reconstructions(self, images: Tensor) -> Tensor:
        """Reconstructions of images; both [batch, channels, size, size] in [-1, 1]."""
        raise NotImplementedError

    def normal_losses(self, images: Tensor) -> Tensor:
        """The training loss of each image as a normal one, [batch]; images: [batch, channels, size, size] in [-1, 1]"""
        raise NotImplementedError

    def optimised(self) -> list[list[nn.Parameter]]:
        return [list(self.network.get_submodule(part).parameters()) for part in self.parts or ("",)]

    def begin_epoch(self, epoch: int, batches: Batches) -> None:
        self.noise = generator(self.seed, 0, "noise", epoch)

    def step(self, normal: Tensor, anomalous: Tensor, optimizers: Sequence[MemberAdam]) -> dict[str, Tensor]:
        terms = {name: value[None] for name, value in self.losses(normal, anomalous).items()}
        optimizers[0].step(torch.cat([*terms.values()]))
        return terms

    def score(self, images: Tensor) -> Tensor:
        with self.evaluating():
            return self.scores(images)[:, None]

    def reconstruct(self, images: Tensor) -> Tensor:
        with self.evaluating():
            return self.reconstructions(images)[:, None]

    def normal_loss(self, images: Tensor) -> Tensor:
        with self.evaluating():
            return self.normal_losses(images)[:, None]
