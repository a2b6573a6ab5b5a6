"""The two-discriminator GAN: reconstruct normal images well and anomalous ones badly.

After Kim, Jeong, Choi, Seo, "GAN-based Anomaly Detection in Imbalance Problems", ECCV Workshops 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR, StepLR

from adcore import losses
from adcore.detectors.base import Detector
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

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        norm: str,
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
            self.generator = Generator(**shape)
            self.discriminator_normal = Discriminator(**shape)
            self.discriminator_anomaly = Discriminator(**shape)
        for network in (self.generator, self.discriminator_normal, self.discriminator_anomaly):
            initialise(network, generators)
        self.loss_sums = {}

    def on_train_epoch_start(self) -> None:
        self.loss_sums = {}

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
        self._step(generator_optimizer, total, self.generator)

        # detach: the discriminators' update must not move the generator
        critics = self.discriminator_losses(normal, anomalous, output_normal.detach(), output_anomalous.detach())
        self._step(
            discriminator_optimizer, sum(critics.values()), self.discriminator_normal, self.discriminator_anomaly
        )
        for scheduler in cast("list[LRScheduler]", self.lr_schedulers()):
            scheduler.step()
        for name, value in (terms | critics).items():
            self.loss_sums[name] = self.loss_sums.get(name, 0) + value.detach()

    def generator_losses(
        self, normal: Tensor, anomalous: Tensor, output_normal: Tensor, output_anomalous: Tensor, code: Tensor
    ) -> dict[str, Tensor]:
        """The six generator losses by name, [members] each, four without anomalies; code: the normal images' latent."""
        each = self._by_member
        terms = {
            "reconstruction": losses.reconstruction(each(normal), each(output_normal)),
            "patch": losses.patch(each(normal), each(output_normal)),
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
        was_training = self.training
        self.eval()
        with torch.no_grad():
            repeated = images.repeat(1, self.members, 1, 1)
            scores = losses.reconstruction_error(
                self._by_member(repeated), self._by_member(self.generator(repeated)[0])
            )
        self.train(was_training)
        return scores

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """Adam(.5, .999) for the generator and for the discriminators; schedules step once per optimiser step."""
        critics = [*self.discriminator_normal.parameters(), *self.discriminator_anomaly.parameters()]
        optimizers: list[Optimizer] = [
            Adam(parameters, self.learning_rate, betas=(0.5, 0.999), fused=True)
            for parameters in (list(self.generator.parameters()), critics)
        ]
        return optimizers, [self._scheduler(optimizer) for optimizer in optimizers]

    def _scheduler(self, optimizer: Optimizer) -> LRScheduler:
        if self.schedule == "one-cycle":
            steps = self.steps_per_epoch * self.epochs
            # momentum stays at the paper's: beta 1 of .5 is what keeps GANs steady
            return OneCycleLR(optimizer, self.learning_rate, total_steps=steps + 1, cycle_momentum=False)
        if self.schedule == "halve-every-50":
            return StepLR(optimizer, 50 * self.steps_per_epoch, gamma=0.5)
        return ConstantLR(optimizer, factor=1.0)

    def _by_member(self, grouped: Tensor) -> Tensor:
        """[batch, members*channels, height, width] to [batch, members, channels, height, width]."""
        return grouped.unflatten(1, (self.members, -1))

    def _step(self, optimizer: Optimizer, loss: Any, *networks: torch.nn.Module) -> None:
        """Update `networks` alone: their gradient is all that is computed."""
        optimizer.zero_grad()
        # not manual_backward: one device and one precision need none of its hooks, which cost 1 % of a small step
        loss.sum().backward(inputs=[p for network in networks for p in network.parameters()])
        optimizer.step()
