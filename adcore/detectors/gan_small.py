"""The two-discriminator GAN with the smaller networks of a student report on Kim et al. 2020."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from adcore.detectors.gan import TwoDiscriminatorGAN
from adcore.networks import IMAGE_SIZE, added_blocks

__all__ = ["SmallDiscriminator", "SmallGAN", "SmallGenerator"]


class SmallGenerator(nn.Module):
    """Two 3x3 convolutions of stride 2 and one 7x7, then all transposed; ReLU inside, sigmoid at the end.

    The channels are width, 2 * width and 4 * width; larger images add convolutions of 2 * width before the 7x7 one. The
    sigmoid's range is stretched to that of the images, [-1, 1]. No skips, no normalisation: norm is not used.
    """

    def __init__(
        self, *, channels: int, width: int, norm: str = "batch", members: int = 1, image_size: int = IMAGE_SIZE
    ) -> None:
        super().__init__()
        c, w = members * channels, members * width
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for _ in range(added_blocks(image_size)):
            down += [nn.Conv2d(2 * w, 2 * w, 3, 2, 1, groups=members), nn.ReLU()]
            up += [nn.ConvTranspose2d(2 * w, 2 * w, 3, 2, 1, 1, groups=members), nn.ReLU()]
        self.encoder = nn.Sequential(
            nn.Conv2d(c, w, 3, 2, 1, groups=members), nn.ReLU(),
            nn.Conv2d(w, 2 * w, 3, 2, 1, groups=members), nn.ReLU(), *down,
            nn.Conv2d(2 * w, 4 * w, 7, groups=members), nn.ReLU(),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(4 * w, 2 * w, 7, groups=members), nn.ReLU(), *up,
            nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1, groups=members), nn.ReLU(),
            nn.ConvTranspose2d(w, c, 3, 2, 1, 1, groups=members), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction in [-1, 1], of the images' shape, and latent, [batch, members*4*width, 2, 2]."""
        code = self.encode(image)
        return 2 * self.decoder(code) - 1, code

    def encode(self, image: Tensor) -> Tensor:
        """Latent of images [batch, members*channels, size, size]: [batch, members*4*width, 2, 2]."""
        return self.encoder(image)


class SmallDiscriminator(nn.Sequential):
    """Four 3x3 convolutions of stride 2: images to a 2x2 map of scores in [0, 1].

    The channels are width, 2 * width, 4 * width and 1; larger images add convolutions of 4 * width. Takes [batch,
    members*channels, size, size], returns [batch, members, 2, 2]. norm is not used.
    """

    def __init__(
        self, *, channels: int, width: int, norm: str = "batch", members: int = 1, image_size: int = IMAGE_SIZE
    ) -> None:
        c, w = members * channels, members * width
        added: list[nn.Module] = []
        for _ in range(added_blocks(image_size)):
            added += [nn.Conv2d(4 * w, 4 * w, 3, 2, 1, groups=members), nn.ReLU()]
        super().__init__(
            nn.Conv2d(c, w, 3, 2, 1, groups=members), nn.ReLU(),
            nn.Conv2d(w, 2 * w, 3, 2, 1, groups=members), nn.ReLU(),
            nn.Conv2d(2 * w, 4 * w, 3, 2, 1, groups=members), nn.ReLU(), *added,
            nn.Conv2d(4 * w, members, 3, 2, 1, groups=members), nn.Sigmoid(),
        )  # fmt: skip


class SmallGAN(TwoDiscriminatorGAN):
    """The six generator losses and two discriminators of TwoDiscriminatorGAN on smaller networks.

    The report's width is 32. All 16 patches count; they tile the image, so their mean equals the reconstruction loss.
    Images are in [-1, 1], in the report 28x28 pixels in [0, 1]: reconstruction errors are twice as large here.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "weights", "score_latent", "average_weights", "learning_rate", "schedule",
    )  # fmt: skip
    generator_network: ClassVar[Callable[..., Any]] = SmallGenerator
    discriminator_network: ClassVar[Callable[..., Any]] = SmallDiscriminator
    deviation: ClassVar[float | None] = None

    @staticmethod
    def patches(size: int, scale: int) -> dict[str, int]:
        return {"size": 8 * scale, "stride": 8 * scale, "worst": 16}
