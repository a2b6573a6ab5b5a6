"""The two-discriminator GAN: reconstruct normal images well and anomalous ones badly.

After Kim, Jeong, Choi, Seo, "GAN-based Anomaly Detection in Imbalance Problems", ECCV Workshops 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from adcore import losses
from adcore.detectors.base import Detector
from adcore.detectors.optimisation import learning_rate_schedule, step
from adcore.networks import Discriminator, Generator, initialise

__all__ = ["TwoDiscriminatorGAN"]


class TwoDiscriminatorGAN(Detector):
    """A generator, a discriminator for normal images and one for anomalies, trained in turn.

    Differs from the paper in the batch: normal and anomalous images pass the generator in one mixed batch, so that
    batch norm's running statistics, with which images are scored, are of both kinds. The latent loss's pass E(G(x))
    over normal reconstructions updates the encoder's as well.

    generators: one CPU random generator per member, for its initial weights. weights: of the six generator losses.
    steps_per_epoch and epochs: the length of the learning rate schedule.
    """

    settings: ClassVar[tuple[str, ...]] = ("width", "norm", "weights", "learning_rate", "schedule")
    search: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {
            "weight_patch": (0.01, 5.0),
            "weight_latent": (0.01, 5.0),
            "weight_adversarial_normal": (0.001, 1.0),
            "weight_adversarial_anomaly": (0.001, 1.0),
            "weight_abc": (0.1, 10.0),
            "learning_rate": (3e-4, 5e-3),
        }
    )
    reconstructs: ClassVar[bool] = True
    #: What is built of channels, width, norm and members; the generator also encodes.
    generator_network: ClassVar[Callable[..., Any]] = Generator
    discriminator_network: ClassVar[Callable[..., Any]] = Discriminator
    #: Spread of the initial weights; None: PyTorch's own.
    deviation: ClassVar[float | None] = 0.02
    #: How the patch loss divides an image.
    patches: ClassVar[Mapping[str, int]] = MappingProxyType({"size": 16, "stride": 8, "worst": 3})

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        norm: str = "batch",
        weights: Mapping[str, float],
        learning_rate: float,
        schedule: str,
        steps_per_epoch: int,
        epochs: int,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.members = len(generators)
        self.loss_weights = dict(weights)
        self.learning_rate, self.schedule = learning_rate, schedule
        self.steps_per_epoch, self.epochs = steps_per_epoch, epochs
        shape: dict[str, Any] = {"channels": channels, "width": width, "norm": norm, "members": self.members}
        with torch.random.fork_rng(devices=[]):  # layers first draw weights from the global generator, all replaced
            self.generator = self.generator_network(**shape)
            self.discriminator_normal = self.discriminator_network(**shape)
            self.discriminator_anomaly = self.discriminator_network(**shape)
        for network in (self.generator, self.discriminator_normal, self.discriminator_anomaly):
            initialise(network, generators, deviation=self.deviation)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """One step of the generator, then one of both discriminators.

        batch: normal and anomalous images, [half, members*channels, 32, 32] each; the second may be empty.
        """
        normal, anomalous = batch
        generator_optimizer, discriminator_optimizer = cast("list[Optimizer]", self.optimizers(use_pl_optimizer=False))
        output, code = self.generator(torch.cat([normal, anomalous]))  # mixed: one batch norm for both
        output_normal, output_anomalous = output[: len(normal)], output[len(normal) :]

        terms = self.generator_losses(normal, anomalous, output_normal, output_anomalous, code[: len(normal)])
        total = sum(self.loss_weights[name] * value for name, value in terms.items())
        step(generator_optimizer, cast(Tensor, total), self.generator.parameters())

        # detach: the discriminators' update must not move the generator
        critics = self.discriminator_losses(normal, anomalous, output_normal.detach(), output_anomalous.detach())
        step(discriminator_optimizer, torch.stack([*critics.values()]), self._critic_parameters())
        for scheduler in cast("list[LRScheduler]", self.lr_schedulers()):
            scheduler.step()
        self.add_losses(terms | critics)

    def generator_losses(
        self, normal: Tensor, anomalous: Tensor, output_normal: Tensor, output_anomalous: Tensor, code: Tensor
    ) -> dict[str, Tensor]:
        """The six generator losses by name, [members] each, four without anomalies; code: the normal images' latent."""
        each = self._by_member
        terms = {
            "reconstruction": losses.reconstruction(each(normal), each(output_normal)),
            "patch": losses.patch(each(normal), each(output_normal), **self.patches),
            "latent": losses.latent(each(code), each(self.generator.encode(output_normal))),
            "adversarial_normal": losses.adversarial_normal(each(self.discriminator_normal(output_normal))),
        }
        if len(anomalous):
            judged = self.discriminator_anomaly(output_anomalous)
            terms["adversarial_anomaly"] = losses.adversarial_anomaly(each(judged))
            terms["abc"] = losses.abc(each(anomalous), each(output_anomalous))
        return terms

    def discriminator_losses(
        self, normal: Tensor, anomalous: Tensor, output_normal: Tensor, output_anomalous: Tensor
    ) -> dict[str, Tensor]:
        """Both discriminators' losses by name, [members] each, one without anomalies; the outputs are detached."""
        each, on_normal, on_anomaly = self._by_member, self.discriminator_normal, self.discriminator_anomaly
        found = {"discriminator_normal": losses.discriminator(each(on_normal(normal)), each(on_normal(output_normal)))}
        if len(anomalous):
            real, fake = each(on_anomaly(anomalous)), each(on_anomaly(output_anomalous))
            found["discriminator_anomaly"] = losses.discriminator(real, fake)
        return found

    def score(self, images: Tensor) -> Tensor:
        """Anomaly score: the mean absolute reconstruction error, in eval mode.

        images: [batch, channels, 32, 32] in [-1, 1], the same for every member. Returns [batch, members].
        """
        repeated = images[:, None].expand(-1, self.members, -1, -1, -1)
        return losses.reconstruction_error(repeated, self.reconstruct(images))

    def reconstruct(self, images: Tensor) -> Tensor:
        with self.evaluating():
            return self._by_member(self.generator(images.repeat(1, self.members, 1, 1))[0])

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """Adam(.5, .999) for the generator and for the discriminators; schedules step once per optimiser step."""
        optimizers: list[Optimizer] = [
            Adam(parameters, self.learning_rate, betas=(0.5, 0.999), fused=True)
            for parameters in (list(self.generator.parameters()), self._critic_parameters())
        ]
        length = {"steps_per_epoch": self.steps_per_epoch, "epochs": self.epochs}
        return optimizers, [learning_rate_schedule(optimizer, self.schedule, **length) for optimizer in optimizers]

    def _critic_parameters(self) -> list[nn.Parameter]:
        return [*self.discriminator_normal.parameters(), *self.discriminator_anomaly.parameters()]

    def _by_member(self, grouped: Tensor) -> Tensor:
        """[batch, members*channels, height, width] to [batch, members, channels, height, width]."""
        return grouped.unflatten(1, (self.members, -1))
