"""GANomaly: Akcay, Atapour-Abarghouei, Breckon, "GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training",
ACCV 2018 (arXiv 1805.06725)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adcore.detectors.base.detector import full
from adcore.detectors.base.optimisation import MemberAdam
from adcore.detectors.base.single import SingleDetector
from adcore.networks import IMAGE_SIZE, added_blocks, initialise

__all__ = ["GANomaly"]

#: The paper's weights of the generator's losses.
WEIGHTS: Mapping[str, float] = MappingProxyType({"adversarial": 1.0, "contextual": 50.0, "encoder": 1.0})


class GANomaly(SingleDetector):
    """Encoder, decoder and second encoder, trained on normal images against a discriminator's features.

    z = G_E(x), x' = G_D(z), z' = E(x'). Generator: ||f(x) - f(x')||^2 of the discriminator's features + 50 |x - x'| +
    ||z - z'||^2, means over the elements as in the authors' code. Score: mean |z - z'|. Unlike in that code, a
    discriminator whose loss is near 0 is not initialised anew. Networks as in DCGAN.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "latent_size", "learning_rate", "schedule", "weight_decay",
    )  # fmt: skip
    search: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({"learning_rate": (1e-5, 1e-2)})
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    reconstructs: ClassVar[bool] = True
    capturable: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = ("generator", "discriminator")

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        latent_size: int,
        generators: Sequence[torch.Generator],
        image_size: int = IMAGE_SIZE,
        **training: Any,
    ) -> None:
        super().__init__(lambda: _networks(channels, width, latent_size, image_size), generators=generators, **training)
        initialise(self.network, generators)

    def step(self, normal: Tensor, anomalous: Tensor, optimizers: Sequence[MemberAdam]) -> dict[str, Tensor]:
        """One step of the generator, then one of the discriminator, on reconstructions from before the generator's."""
        of_generator, of_discriminator = optimizers
        terms, output = self._generator_losses(normal)
        of_generator.step(torch.stack([WEIGHTS[name] * value for name, value in terms.items()]))
        # detach: the discriminator's update must not move the generator
        critics = self._discriminator_losses(normal, output.detach())
        of_discriminator.step(critics["discriminator"])
        return {name: value[None] for name, value in (terms | critics).items()}

    def scores(self, images: Tensor) -> Tensor:
        latent, _, again = self._pass(images)
        return (latent - again).abs().mean(1)

    def reconstructions(self, images: Tensor) -> Tensor:
        return self._pass(images)[1]

    def _pass(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z [batch, latent], x' [batch, channels, size, size] in [-1, 1], z' [batch, latent]."""
        generator = self.network.get_submodule("generator")
        latent = generator.get_submodule("encoder")(images)
        output = generator.get_submodule("decoder")(latent)
        again = generator.get_submodule("encoder_again")(output)
        return full(latent.flatten(1)), full(output), full(again.flatten(1))

    def _generator_losses(self, normal: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        latent, output, again = self._pass(normal)
        features = self.network.get_submodule("discriminator.features")
        terms = {
            "adversarial": F.mse_loss(full(features(output)), full(features(normal)).detach()),
            "contextual": F.l1_loss(output, normal),
            "encoder": F.mse_loss(again, latent),
        }
        return terms, output

    def _discriminator_losses(self, normal: Tensor, output: Tensor) -> dict[str, Tensor]:
        discriminator = self.network.get_submodule("discriminator")
        real, fake = full(discriminator(normal)), full(discriminator(output))
        return {"discriminator": (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2}


def _networks(channels: int, width: int, latent_size: int, image_size: int) -> nn.ModuleDict:
    generator = nn.ModuleDict(
        {
            "encoder": _encoder(channels, width, latent_size, image_size),
            "decoder": _decoder(channels, width, latent_size, image_size),
            "encoder_again": _encoder(channels, width, latent_size, image_size),
        }
    )
    *features, last = _encoder(channels, width, 1, image_size)
    discriminator = nn.Sequential()
    discriminator.add_module("features", nn.Sequential(*features))
    discriminator.add_module("last", last)
    return nn.ModuleDict({"generator": generator, "discriminator": discriminator})


def _encoder(channels: int, width: int, latent_size: int, image_size: int) -> nn.Sequential:
    """Images [batch, channels, size, size] to [batch, latent_size, 1, 1]."""
    w = width
    added: list[nn.Module] = []
    for _ in range(added_blocks(image_size)):
        added += [nn.Conv2d(4 * w, 4 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * w), nn.LeakyReLU(0.2)]
    return nn.Sequential(
        nn.Conv2d(channels, w, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
        nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * w, 4 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * w), nn.LeakyReLU(0.2), *added,
        nn.Conv2d(4 * w, latent_size, 4, bias=False),
    )  # fmt: skip


def _decoder(channels: int, width: int, latent_size: int, image_size: int) -> nn.Sequential:
    """[batch, latent_size, 1, 1] to images [batch, channels, size, size] in [-1, 1]."""
    w = width
    added: list[nn.Module] = []
    for _ in range(added_blocks(image_size)):
        added += [nn.ConvTranspose2d(4 * w, 4 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * w), nn.ReLU()]
    return nn.Sequential(
        nn.ConvTranspose2d(latent_size, 4 * w, 4, bias=False), nn.BatchNorm2d(4 * w), nn.ReLU(), *added,
        nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.ReLU(),
        nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(),
        nn.ConvTranspose2d(w, channels, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
