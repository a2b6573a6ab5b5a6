"""The "traditional GAN" of a student report on Kim et al. 2020: a fully connected generator with a single loss."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from adcore.detectors.base.reconstruction import ReconstructionDetector
from adcore.networks import IMAGE_SIZE

__all__ = ["TraditionalGAN"]


class TraditionalGAN(ReconstructionDetector):
    """A generator of four dense layers with the squared reconstruction error of normal images as its only loss.

    The report names no adversarial term, so a discriminator could not influence the generator, which gives the score:
    there is none here. Layer sizes (16 * width, then latent_size) are ours.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "latent_size", "learning_rate", "schedule", "weight_decay",
    )  # fmt: skip

    def __init__(
        self, *, channels: int, width: int, latent_size: int, image_size: int = IMAGE_SIZE, **training: Any
    ) -> None:
        pixels, hidden = channels * image_size**2, 16 * width

        def network() -> nn.Sequential:
            return nn.Sequential(
                nn.Flatten(),
                nn.Linear(pixels, hidden), nn.ReLU(),
                nn.Linear(hidden, latent_size), nn.ReLU(),
                nn.Linear(latent_size, hidden), nn.ReLU(),
                nn.Linear(hidden, pixels), nn.Sigmoid(),
                nn.Unflatten(1, (channels, image_size, image_size)),
            )  # fmt: skip

        super().__init__(network, **training)
