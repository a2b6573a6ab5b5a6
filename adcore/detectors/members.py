"""Detectors of one plain network per member, looped over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from adcore.detectors.base import Detector
from adcore.detectors.optimisation import learning_rate_schedule, step
from adcore.streams import generator

__all__ = ["MemberDetector"]


class MemberDetector(Detector):
    """A network per member; a step minimises the sum of a member's losses, with one Adam over all members.

    Adam works on each weight by itself, so one over all equals one per member. network: makes a member's network, whose
    layers' own initial weights are drawn from the member's generator. parts: the submodules of a network that have an
    Adam each; () for one over the whole network.
    """

    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    parts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        network: Callable[[], nn.Module],
        *,
        learning_rate: float,
        schedule: str,
        weight_decay: float = 0.0,
        steps_per_epoch: int,
        epochs: int,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.learning_rate, self.schedule, self.weight_decay = learning_rate, schedule, weight_decay
        self.steps_per_epoch, self.epochs = steps_per_epoch, epochs
        self.seeds = [each.initial_seed() for each in generators]
        self.noise: list[torch.Generator] = []
        with torch.random.fork_rng(devices=[]):  # layers draw from the global generator: a member's stands in for it
            self.networks = nn.ModuleList([_seeded(network, seed) for seed in self.seeds])

    def losses(self, member: int, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        """A member's losses by name, scalars, whose sum a step minimises.

        normal, anomalous: [half, channels, 32, 32] in [-1, 1]; the second may be empty.
        """
        raise NotImplementedError

    def member_scores(self, member: int, images: Tensor) -> Tensor:
        """Anomaly scores by one member, [batch], of images [batch, channels, 32, 32] in [-1, 1]."""
        raise NotImplementedError

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.noise = [generator(seed, 0, "noise", self.current_epoch) for seed in self.seeds]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """batch: normal and anomalous images, [half, members*channels, 32, 32] each; the second may be empty."""
        optimizer = cast(Optimizer, self.optimizers(use_pl_optimizer=False))
        terms = self.by_member(self.losses, batch)
        step(optimizer, torch.stack([*terms.values()]), self.networks.parameters())
        cast(LRScheduler, self.lr_schedulers()).step()
        self.add_losses(terms)

    def by_member(
        self, losses: Callable[[int, Tensor, Tensor], dict[str, Tensor]], batch: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """losses(member, normal, anomalous) of every member: [members] by name."""
        normal, anomalous = (part.chunk(len(self.networks), 1) for part in batch)
        each = [losses(member, normal[member], anomalous[member]) for member in range(len(self.networks))]
        return {name: torch.stack([own[name] for own in each]) for name in each[0]}

    def score(self, images: Tensor) -> Tensor:
        """The members' scores side by side. images: [batch, channels, 32, 32] in [-1, 1]. Returns [batch, members]."""
        with self.evaluating():
            return torch.stack([self.member_scores(m, images) for m in range(len(self.networks))], 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        with self.evaluating():
            return torch.stack([self.member_reconstructions(m, images) for m in range(len(self.networks))], 1)

    def member_reconstructions(self, member: int, images: Tensor) -> Tensor:
        """Reconstructions by one member, in [-1, 1] as the images are; both [batch, channels, 32, 32]."""
        raise NotImplementedError

    def epoch_batches(self) -> Iterator[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
        """The current epoch's training batches once more: normal and anomalous images, each a tuple by member."""
        for normal, anomalous in cast(Any, self.trainer).datamodule.train_dataloader():
            yield normal.chunk(len(self.networks), 1), anomalous.chunk(len(self.networks), 1)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """An Adam for each of `parts`; schedules step once per optimiser step."""
        optimizers: list[Optimizer] = [
            Adam(own, self.learning_rate, betas=self.betas, weight_decay=self.weight_decay, fused=True)
            for own in ([self.part_parameters(part) for part in self.parts] or [list(self.networks.parameters())])
        ]
        length = {"steps_per_epoch": self.steps_per_epoch, "epochs": self.epochs}
        return optimizers, [learning_rate_schedule(optimizer, self.schedule, **length) for optimizer in optimizers]

    def part_parameters(self, part: str) -> list[nn.Parameter]:
        """The parameters of one part of every member's network."""
        return [parameter for network in self.networks for parameter in network.get_submodule(part).parameters()]


def _seeded(network: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return network()
