"""The two-discriminator GAN with discriminators that judge an image as a whole and by its patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adcore.detectors.gan import TwoDiscriminatorGAN
from adcore.networks import IMAGE_SIZE, Discriminator

__all__ = ["TwoHeadDiscriminator", "TwoHeadGAN"]


class TwoHeadDiscriminator(nn.Module):
    """Discriminator with a second head beside the patch scores: one score for the whole image, from all its features.

    Takes [batch, members*channels, size, size], returns [batch, members, 4, 2]: the 2x2 map of patch scores above four
    copies of the image's score. A mean over it weights both heads equally.
    """

    def __init__(
        self, *, channels: int, width: int, norm: str = "batch", members: int = 1, image_size: int = IMAGE_SIZE
    ) -> None:
        super().__init__()
        layers = list(Discriminator(channels=channels, width=width, norm=norm, members=members, image_size=image_size))
        self.features, self.patch_head = nn.Sequential(*layers[:-1]), layers[-1]
        self.image_head = nn.Conv2d(members * 4 * width, members, 3, groups=members, bias=False)  # all 3x3 pixels

    def forward(self, image: Tensor) -> Tensor:
        features = self.features(image)  # [batch, members*4*width, 3, 3]
        patches, whole = self.patch_head(features), self.image_head(features)
        return torch.cat([patches, whole.expand_as(patches)], 2)


class TwoHeadGAN(TwoDiscriminatorGAN):
    """TwoDiscriminatorGAN whose adversarial and discriminator losses are the mean over an image and a patch output.

    After a student report on Kim et al. 2020, which has two outputs but does not say how their losses are combined: the
    equal weights are ours.
    """

    discriminator_network: ClassVar[Callable[..., Any]] = TwoHeadDiscriminator
