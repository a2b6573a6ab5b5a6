"""The variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114) of normal images."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from adcore.detectors.members import MemberDetector
from adcore.networks import IMAGE_SIZE
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


class VariationalAutoencoder(MemberDetector):
    """Minimises the negative ELBO, reconstruction + KL, in nats per image, on normal images alone.

    The reconstruction is the binary cross-entropy summed over the pixels, its latent drawn once per image. The score,
    with the latent at its mean, so that scores repeat, is one of three: the cross-entropy ("bce"), as in a student
    report on Fashion-MNIST; the negative ELBO ("elbo"); or what of the cross-entropy exceeds the pixels' entropy
    ("excess-bce"). The first two are small for dark images whatever they show: sandals, as anomalies, then pass for
    normal. Layers as in the report, which gives their kinds: two convolutions and two linear heads, one linear and two
    transposed layers; their sizes are ours.
    """

    settings: ClassVar[tuple[str, ...]] = (
        "width", "latent_size", "learning_rate", "schedule", "weight_decay", "vae_score",
    )  # fmt: skip
    search: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"learning_rate": (1e-4, 1e-2), "weight_decay": (1e-7, 1e-3)}
    )
    has_normal_loss: ClassVar[bool] = True
    reconstructs: ClassVar[bool] = True

    def __init__(self, *, channels: int, width: int, latent_size: int, vae_score: str, **training: Any) -> None:
        super().__init__(lambda: _Network(channels, width, latent_size), **training)
        self.pixels, self.vae_score = channels * IMAGE_SIZE**2, vae_score

    def losses(self, member: int, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        noise = self.noise[member]

        def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
            # on the CPU whatever the device, so that the draws do not depend on it
            return mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=noise, dtype=mean.dtype).to(mean)

        reconstruction, divergence = self._terms(member, normal, draw)
        return {"reconstruction": reconstruction.mean(), "divergence": divergence.mean()}

    def member_scores(self, member: int, images: Tensor) -> Tensor:
        reconstruction, divergence = self._terms(member, images, _mean)
        if self.vae_score == "excess-bce":
            plain = unit_range(images)
            return reconstruction - bce(plain, plain) * self.pixels
        return reconstruction + divergence if self.vae_score == "elbo" else reconstruction

    def member_reconstructions(self, member: int, images: Tensor) -> Tensor:
        return 2 * self._output(member, unit_range(images)) - 1

    def normal_loss(self, images: Tensor) -> Tensor:
        """The negative ELBO with the latent at its mean, [batch, members]."""
        with self.evaluating():
            terms = [self._terms(member, images, _mean) for member in range(len(self.networks))]
            return torch.stack([error + distance for error, distance in terms], 1)

    def _output(self, member: int, images: Tensor) -> Tensor:
        """Images in [0, 1] reconstructed from the means of their latents."""
        network = self._network(member)
        return network.decode(network.encode(images)[0])

    def _network(self, member: int) -> _Network:
        return cast(_Network, self.networks[member])

    def _terms(self, member: int, images: Tensor, draw: Any) -> tuple[Tensor, Tensor]:
        """Reconstruction and divergence of each image, [batch] each, nats."""
        images, network = unit_range(images), self._network(member)
        mean, log_variance = network.encode(images)
        output = network.decode(draw(mean, log_variance))
        return bce(images, output) * self.pixels, divergence(mean, log_variance)


class _Network(nn.Module):
    def __init__(self, channels: int, width: int, latent_size: int) -> None:
        super().__init__()
        side = IMAGE_SIZE // 4
        flat = 2 * width * side**2
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.mean, self.log_variance = nn.Linear(flat, latent_size), nn.Linear(flat, latent_size)
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, flat), nn.ReLU(), nn.Unflatten(1, (2 * width, side, side)),
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
