"""The two-discriminator GAN: reconstruct normal images well and anomalous ones badly.

After Kim, Jeong, Choi, Seo, "GAN-based Anomaly Detection in Imbalance Problems", ECCV Workshops 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adcore import losses
from adcore.detectors.base.detector import Detector, full
from adcore.detectors.base.optimisation import MemberAdam
from adcore.detectors.base.weight_average import WeightAverage
from adcore.networks import IMAGE_SIZE, Discriminator, Generator, initialise

__all__ = ["TwoDiscriminatorGAN"]


class TwoDiscriminatorGAN(Detector):
    """A generator, a discriminator for normal images and one for anomalies, trained in turn.

    Unlike in the paper, normal and anomalous images pass the generator in one mixed batch, so that batch norm's
    running statistics, which are used in scoring, cover both kinds. The latent loss's pass E(G(x)) over normal
    reconstructions also updates the encoder's statistics.

    generators: one CPU random generator per member, for its initial weights. weights, score_latent: of the six
    generator losses, and of the latent distance in the score, by member. average_weights: 0, or the decay of the
    average of the generator's weights that scores and reconstructs.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "norm", "patch_size", "weights", "score_latent", "average_weights", "learning_rate",
        "schedule",
    )  # fmt: skip
    by_member: ClassVar[tuple[str, ...]] = ("weights", "score_latent")
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
    grouped: ClassVar[bool] = True
    capturable: ClassVar[bool] = True
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    loss_weights: Tensor
    latent_weights: Tensor
    #: Network classes, built from channels, width, norm, members and image_size; the generator also encodes.
    generator_network: ClassVar[Callable[..., Any]] = Generator
    discriminator_network: ClassVar[Callable[..., Any]] = Discriminator
    #: Standard deviation of the initial weights; None: PyTorch's own distribution.
    deviation: ClassVar[float | None] = 0.02

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        image_size: int = IMAGE_SIZE,
        norm: str = "batch",
        patch_size: int = 16,
        weights: Sequence[Mapping[str, float]],
        score_latent: Sequence[float] | None = None,
        average_weights: float = 0.0,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__(generators)
        self.loss_names = tuple(weights[0])
        by_loss = [[member[name] for member in weights] for name in self.loss_names]  # [losses, members]
        self.register_buffer("loss_weights", torch.tensor(by_loss, dtype=torch.float64), persistent=False)
        shape: dict[str, Any] = {
            "channels": channels, "width": width, "norm": norm, "members": self.members, "image_size": image_size,
        }  # fmt: skip
        self.windows = self.patches(patch_size, image_size // IMAGE_SIZE)
        latent = score_latent or [0.0] * self.members
        self.scores_latent = any(latent)
        self.register_buffer("latent_weights", torch.tensor(latent, dtype=torch.float64), persistent=False)
        with torch.random.fork_rng(devices=[]):  # layers first draw from the global generator; all are replaced
            self.generator = self.generator_network(**shape)
            self.discriminator_normal = self.discriminator_network(**shape)
            self.discriminator_anomaly = self.discriminator_network(**shape)
        for network in (self.generator, self.discriminator_normal, self.discriminator_anomaly):
            initialise(network, generators, deviation=self.deviation)
        self.average = WeightAverage(self.generator, average_weights) if average_weights else None

    @staticmethod
    def patches(size: int, scale: int) -> dict[str, int]:
        """The arguments of the patch loss: windows overlap by half, and the worst third of them count.

        size: of a window on an image of IMAGE_SIZE pixels. scale: how many times larger the images are.
        """
        count = (2 * IMAGE_SIZE // size - 1) ** 2
        return {"size": size * scale, "stride": size * scale // 2, "worst": max(1, count // 3)}

    @property
    def scoring_network(self) -> Any:
        """The generator that scores and reconstructs: the averaged one, if there is one."""
        return self.average.network if self.average else self.generator

    def optimised(self) -> list[list[nn.Parameter]]:
        """The generator's parameters, and those of both discriminators."""
        critics = [*self.discriminator_normal.parameters(), *self.discriminator_anomaly.parameters()]
        return [list(self.generator.parameters()), critics]

    def step(self, normal: Tensor, anomalous: Tensor, optimizers: Sequence[MemberAdam]) -> dict[str, Tensor]:
        """One step of the generator, then one of both discriminators."""
        of_generator, of_critics = optimizers
        output, code = self.generator(torch.cat([normal, anomalous]))  # mixed: one batch norm for both
        output_normal, output_anomalous = output[: len(normal)], output[len(normal) :]
        # once for both updates: the generator's update does not change the discriminators
        judged = self.judge(output_normal, output_anomalous)

        terms = self.generator_losses(normal, anomalous, output_normal, output_anomalous, code[: len(normal)], judged)
        weights = dict(zip(self.loss_names, self.loss_weights, strict=True))
        total = torch.stack([weights[name] * value for name, value in terms.items()])
        of_generator.step(total, retain_graph=True)
        if self.average:
            self.average.update(self.generator)

        critics = self.discriminator_losses(normal, anomalous, judged)
        of_critics.step(torch.stack([*critics.values()]))
        return terms | critics

    def judge(self, normal: Tensor, anomalous: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores D_N(normal) and D_A(anomalous), [batch, members, 1, height, width]; None without anomalies."""
        on_anomalous = self._by_member(self.discriminator_anomaly(anomalous)) if len(anomalous) else None
        return self._by_member(self.discriminator_normal(normal)), on_anomalous

    def generator_losses(
        self,
        normal: Tensor,
        anomalous: Tensor,
        output_normal: Tensor,
        output_anomalous: Tensor,
        code: Tensor,
        judged: tuple[Tensor, Tensor | None],
    ) -> dict[str, Tensor]:
        """The six generator losses by name, [members] each; four without anomalies.

        code: the normal images' latent; judged: `judge` of the outputs.
        """
        by_member, (on_normal, on_anomalous) = self._by_member, judged
        terms = {
            "reconstruction": losses.reconstruction(by_member(normal), by_member(output_normal)),
            "patch": losses.patch(by_member(normal), by_member(output_normal), **self.windows),
            "latent": losses.latent(by_member(code), by_member(self.generator.encode(output_normal))),
            "adversarial_normal": losses.adversarial_normal(on_normal),
        }
        if on_anomalous is not None:
            terms["adversarial_anomaly"] = losses.adversarial_anomaly(on_anomalous)
            terms["abc"] = losses.abc(by_member(anomalous), by_member(output_anomalous))
        return terms

    def discriminator_losses(
        self, normal: Tensor, anomalous: Tensor, judged: tuple[Tensor, Tensor | None]
    ) -> dict[str, Tensor]:
        """Both discriminators' losses by name, [members] each, one without anomalies; judged: `judge` of the outputs.

        No gradient reaches the generator: the update computes only the discriminators' gradients.
        """
        (real_normal, real_anomalous), (fake_normal, fake_anomalous) = self.judge(normal, anomalous), judged
        terms = {"discriminator_normal": losses.discriminator(real_normal, fake_normal)}
        if real_anomalous is not None and fake_anomalous is not None:
            terms["discriminator_anomaly"] = losses.discriminator(real_anomalous, fake_anomalous)
        return terms

    def score(self, images: Tensor) -> Tensor:
        """Reconstruction error of each image by each member, plus its weighted latent distance |E(x) - E(x')|.

        images: [batch, channels, size, size] in [-1, 1], the same for every member. Returns [batch, members].
        """
        with self.evaluating():
            repeated = images.repeat(1, self.members, 1, 1)
            output, code = self.scoring_network(repeated)
            error = losses.reconstruction_error(self._by_member(repeated), self._by_member(output))
            if not self.scores_latent:
                return error
            output_code = self.scoring_network.encode(output)
            distance = losses.latent_distance(self._by_member(code), self._by_member(output_code))
            return error + self.latent_weights.to(distance.dtype) * distance

    def reconstruct(self, images: Tensor) -> Tensor:
        with self.evaluating():
            return self._by_member(self.scoring_network(images.repeat(1, self.members, 1, 1))[0])

    def _by_member(self, grouped: Tensor) -> Tensor:
        """[batch, members*channels, height, width] to [batch, members, channels, height, width], for losses."""
        return full(grouped).unflatten(1, (self.members, -1))
