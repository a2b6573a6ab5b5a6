"""An autoencoder that scores images by the density of their embeddings.

After Beggel, Pfeiffer, Bischl, "Robust Anomaly Detection in Images using Adversarial Autoencoders", 2019 (arXiv
1901.06355), as a student report on Fashion-MNIST built it: without the adversarial part, and with a kernel density.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor, nn

from adcore.detectors.base.detector import Batches
from adcore.detectors.base.reconstruction import ReconstructionDetector
from adcore.networks import IMAGE_SIZE, added_blocks
from adcore.reconstruction import unit_range

__all__ = ["REFERENCES", "AutoencoderKDE"]

#: Maximum number of embeddings of each kind in a density: its cost is images scored x references.
REFERENCES = 5000
#: Keeps the bandwidth positive if all embeddings are equal.
MINIMUM_SPREAD = 1e-6


class AutoencoderKDE(ReconstructionDetector):
    """Convolutions to a 1x1 embedding and transposed ones; Gaussian kernel densities of the embeddings.

    For 32x32 pixels there are three of each, for larger images one more for each doubling of the side.

    The autoencoder learns from all images alike, as in the report, with labelled anomalies weighted by the
    labelled_share; where there are fewer than that, each weighs more. After each epoch the densities of the training
    images' embeddings are estimated anew: p_n of normal images and p_a of anomalies, if the protocol has any. The score
    is log p_a - log p_n, or -log p_n without anomalies. The report also thresholds the reconstruction error:
    `scores_by_name` returns all three, and adcore.thresholds has the rule. The embedding has latent_size numbers, 64 in
    the report. The report does not give the bandwidth; here it is in units of the references' spread, the root of their
    mean variance, since the scale of an embedding is arbitrary.
    """

    has_named_scores: ClassVar[bool] = True
    config_fields: ClassVar[tuple[str, ...]] = (
        *ReconstructionDetector.config_fields, "latent_size", "bandwidth", "labelled_share",
    )  # fmt: skip

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        latent_size: int,
        bandwidth: float,
        labelled_share: float,
        image_size: int = IMAGE_SIZE,
        **training: Any,
    ) -> None:
        super().__init__(lambda: _network(channels, width, latent_size, image_size), **training)
        self.bandwidth, self.labelled_share = bandwidth, labelled_share
        self.references = {}

    @property
    def references(self) -> Mapping[str, Tensor]:
        """Embeddings by kind, [n, latent] each, on the CPU."""
        return self._references

    @references.setter
    def references(self, references: Mapping[str, Tensor]) -> None:
        self._references = references
        self._densities = {kind: self._density(embeddings) for kind, embeddings in references.items()}

    def losses(self, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        error = self.errors(normal).mean()
        if len(anomalous):
            error = (1 - self.labelled_share) * error + self.labelled_share * self.errors(anomalous).mean()
        return {"reconstruction": error}

    def finish_epoch(self, batches: Batches) -> None:
        """Embed the epoch's images, up to REFERENCES of each kind."""
        embedded: dict[str, list[Tensor]] = {"normal": [], "anomalous": []}
        count = 0
        with self.evaluating():
            for batch in batches():
                for kind, images in zip(embedded, batch, strict=True):
                    embedded[kind].append(self._embed(images))
                count += len(batch[0])
                if count >= REFERENCES:
                    break
        joined = {kind: torch.cat(parts)[:REFERENCES].cpu() for kind, parts in embedded.items()}
        self.references = {kind: embeddings for kind, embeddings in joined.items() if len(embeddings)}

    def scores(self, images: Tensor) -> Tensor:
        densities = self._log_densities(images)
        return densities.get("anomalous", torch.zeros(())) - densities["normal"]

    def scores_by_name(self, images: Tensor) -> dict[str, Tensor]:
        """Scores for threshold rules, [batch, members] each: reconstruction, log_density_normal, log_density_anomalous.

        images: [batch, channels, size, size] in [-1, 1]. The last score is missing if the protocol has no anomalies.
        """
        with self.evaluating():
            scores = {"reconstruction": self.errors(images)}
            scores |= {f"log_density_{kind}": log_density for kind, log_density in self._log_densities(images).items()}
        return {name: values[:, None] for name, values in scores.items()}

    def get_extra_state(self) -> dict[str, Tensor]:
        """The references: not buffers, because their size is unknown before an epoch's end."""
        return dict(self.references)

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        self.references = state

    def _embed(self, images: Tensor) -> Tensor:
        return cast(nn.Sequential, self.network)[0](unit_range(images)).flatten(1)

    def _log_densities(self, images: Tensor) -> dict[str, Tensor]:
        """Log density of each image's embedding by kind of reference, [batch] each; NaN if a number is not finite."""
        points = self._embed(images)
        return {kind: _log_density(density, points) for kind, density in self._densities.items()}

    def _density(self, references: Tensor) -> KernelDensity | None:
        """None if an embedding is not finite."""
        if not references.isfinite().all():
            return None
        points = references.double().numpy()
        spread = max(float(points.var(0).mean()) ** 0.5, MINIMUM_SPREAD)
        return KernelDensity(kernel="gaussian", bandwidth=self.bandwidth * spread).fit(points)


def _log_density(density: KernelDensity | None, points: Tensor) -> Tensor:
    if density is None or not points.isfinite().all():
        return torch.full_like(points[:, 0], torch.nan)
    return torch.from_numpy(density.score_samples(points.cpu().double().numpy())).to(points)


def _network(channels: int, width: int, latent_size: int, image_size: int) -> nn.Sequential:
    """Encoder to [batch, latent_size, 1, 1] and decoder; the last layer spans the remaining 8x8 pixels."""
    w = 2 * width
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for _ in range(added_blocks(image_size)):
        down += [nn.Conv2d(w, w, 3, 2, 1), nn.ReLU()]
        up += [nn.ConvTranspose2d(w, w, 3, 2, 1, output_padding=1), nn.ReLU()]
    encoder = nn.Sequential(
        nn.Conv2d(channels, width, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU(), *down,
        nn.Conv2d(2 * width, latent_size, 8), nn.ReLU(),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.ConvTranspose2d(latent_size, 2 * width, 8), nn.ReLU(), *up,
        nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 3, 2, 1, output_padding=1), nn.Sigmoid(),
    )  # fmt: skip
    return nn.Sequential(encoder, decoder)
