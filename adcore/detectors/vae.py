"""The variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114) of normal images."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adcore.detectors.base.detector import full
from adcore.detectors.base.single import SingleDetector
from adcore.networks import IMAGE_SIZE, added_blocks
from adcore.reconstruction import bce, unit_range

__all__ = ["VariationalAutoencoder", "divergence"]


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) = 1/2 sum(mean^2 + variance - log variance - 1) of each image, nats.

    mean, log_variance: [batch, latent]. Returns [batch]. Raises ValueError when shapes differ.
    Reference: Kingma and Welling 2014, appendix B.
    """
    if mean.shape != log_variance.shape:
        raise ValueError(f"expected equal shapes, got {tuple(mean.shape)} and {tuple(log_variance.shape)}")
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2


class VariationalAutoencoder(SingleDetector):
    """Minimises the negative ELBO, reconstruction + KL, in nats per image, on normal images alone.

    The reconstruction term is the binary cross-entropy summed over the pixels, with the latent drawn once per image.
    The score, with the latent at its mean to be reproducible, is one of three: the cross-entropy ("bce"), as in a
    student report on Fashion-MNIST; the negative ELBO ("elbo"); or the excess of the cross-entropy over the pixels'
    entropy ("excess-bce"). The first two are small for dark images whatever they show: sandals as anomalies then pass
    for normal. The kinds of layers are the report's: two convolutions and two linear heads, one linear and two
    transposed layers; their sizes, and a further convolution for each doubling of the image's side, are ours. A step
    cannot be captured as a CUDA graph: latents are drawn on the CPU.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "latent_size", "learning_rate", "schedule", "weight_decay", "vae_score",
    )  # fmt: skip
    search: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"learning_rate": (1e-4, 1e-2), "weight_decay": (1e-7, 1e-3)}
    )
    has_normal_loss: ClassVar[bool] = True
    reconstructs: ClassVar[bool] = True
    network: _Network

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        latent_size: int,
        vae_score: str,
        image_size: int = IMAGE_SIZE,
        **training: Any,
    ) -> None:
        super().__init__(lambda: _Network(channels, width, latent_size, image_size), **training)
        self.pixels, self.vae_score = channels * image_size**2, vae_score

    def losses(self, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
            # on the CPU whatever the device, so that the draws do not depend on it
            drawn = torch.randn(mean.shape, generator=self.noise, dtype=mean.dtype).to(mean)
            return mean + (log_variance / 2).exp() * drawn

        reconstruction, divergence = self._terms(normal, draw)
        return {"reconstruction": reconstruction.mean(), "divergence": divergence.mean()}

    def scores(self, images: Tensor) -> Tensor:
        reconstruction, divergence = self._terms(images, _mean)
        if self.vae_score == "excess-bce":
            plain = unit_range(images)
            return reconstruction - bce(plain, plain) * self.pixels
        return reconstruction + divergence if self.vae_score == "elbo" else reconstruction

    def reconstructions(self, images: Tensor) -> Tensor:
        mean, _ = self.network.encode(unit_range(images))
        return 2 * self.network.decode(mean) - 1

    def normal_losses(self, images: Tensor) -> Tensor:
        """The negative ELBO with the latent at its mean, [batch]."""
        reconstruction, divergence = self._terms(images, _mean)
        return reconstruction + divergence

    def _terms(self, images: Tensor, draw: Any) -> tuple[Tensor, Tensor]:
        """Reconstruction and divergence of each image, [batch] each, nats."""
        images = unit_range(images)
        mean, log_variance = map(full, self.network.encode(images))
        output = full(self.network.decode(draw(mean, log_variance)))
        return bce(images, output) * self.pixels, divergence(mean, log_variance)


class _Network(nn.Module):
    def __init__(self, channels: int, width: int, latent_size: int, image_size: int) -> None:
        super().__init__()
        w = 2 * width
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for _ in range(added_blocks(image_size)):
            down += [nn.Conv2d(w, w, 3, 2, 1), nn.ReLU()]
            up += [nn.ConvTranspose2d(w, w, 3, 2, 1, output_padding=1), nn.ReLU()]
        side = IMAGE_SIZE // 4
        flat = 2 * width * side**2
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.ReLU(),
            *down,
            nn.Flatten(),
        )
        self.mean, self.log_variance = nn.Linear(flat, latent_size), nn.Linear(flat, latent_size)
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, flat), nn.ReLU(), nn.Unflatten(1, (2 * width, side, side)), *up,
            nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 3, 2, 1, output_padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents, [batch, latent] each."""
        features = self.encoder(images)
        return self.mean(features), self.log_variance(features)

    def decode(self, latents: Tensor) -> Tensor:
        """Images in [0, 1] of latents [batch, latent]."""
        return self.decoder(latents)


def _mean(mean: Tensor, _: Tensor) -> Tensor:
    return mean
