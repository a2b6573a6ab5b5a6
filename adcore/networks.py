"""Generator and discriminator of the two-discriminator GAN, for one experiment or several side by side.

Several members form one network of grouped convolutions: images are [batch, members*channels, size, size], member m
owns channels m*channels .. (m+1)*channels-1 of every layer, and no value passes from one member to another. With
members=1 it is the plain network. Layers for 32x32 pixels after Kim et al., ECCV Workshops 2020; activations and
initialisation, N(0, 0.02), as in DCGAN (Radford et al. 2016, arXiv 1511.06434). Each doubling of the image's side adds
a block of stride 2, so that the innermost layers always have the same number of pixels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["IMAGE_SIZE", "IMAGE_SIZES", "Discriminator", "Generator", "added_blocks", "initialise"]

#: Height and width of the networks' input images by default, in pixels; and all that they can be built for.
IMAGE_SIZE = 32
IMAGE_SIZES = (32, 64, 128)


def added_blocks(image_size: int) -> int:
    """Number of blocks of stride 2 that a network for images of this side has beyond those for IMAGE_SIZE.

    Raises ValueError for a side that is not in IMAGE_SIZES.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"expected an image size of {IMAGE_SIZES}, got {image_size}")
    return IMAGE_SIZES.index(image_size)


class Generator(nn.Module):
    """U-Net: 4x4 convolutions of stride 2 down to 2x2, as many transposed ones up, with concatenating skips.

    The convolutions down have width, 2, 4 and 8 times width channels, and 8 times in every further one.
    """

    def __init__(
        self, *, channels: int, width: int, norm: str = "batch", members: int = 1, image_size: int = IMAGE_SIZE
    ) -> None:
        super().__init__()
        self.members = members
        wide = [width, 2 * width, 4 * width, *[8 * width] * (1 + added_blocks(image_size))]
        self.down = nn.ModuleList([_down(channels, width, members, norm=None)])
        self.down.extend(_down(before, after, members, norm=norm) for before, after in itertools.pairwise(wide))
        # from the second on, inputs are twice as wide: they carry a skip
        inputs = [wide[-1], *(2 * narrow for narrow in reversed(wide[:-1]))]
        outputs = reversed(wide[:-1])
        self.up = nn.ModuleList(_up(*widths, members, norm=norm) for widths in zip(inputs, outputs, strict=False))
        self.up.append(_up(inputs[-1], channels, members, norm=None))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction in [-1, 1], of the images' shape, and latent, [batch, members*8*width, 2, 2]."""
        *skips, latent = self._features(image)
        output = self.up[0](latent)
        for layer, skip in zip(self.up[1:], reversed(skips), strict=True):
            output = layer(self._concatenate(output, skip))
        return output, latent

    def encode(self, image: Tensor) -> Tensor:
        """Latent of images [batch, members*channels, size, size]: [batch, members*8*width, 2, 2]."""
        return self._features(image)[-1]

    def _features(self, image: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for layer in self.down:
            image = layer(image)
            features.append(image)
        return features

    def _concatenate(self, first: Tensor, second: Tensor) -> Tensor:
        """Join two layers' channels member by member: [m0 | m1] and [n0 | n1] become [m0 n0 | m1 n1]."""
        by_member = [tensor.unflatten(1, (self.members, -1)) for tensor in (first, second)]
        return torch.cat(by_member, dim=2).flatten(1, 2)


class Discriminator(nn.Sequential):
    """Three 4x4 convolutions of stride 2 and two of stride 1: images to a 2x2 map of patch scores, unbounded.

    Takes [batch, members*channels, size, size], returns [batch, members, 2, 2].
    """

    def __init__(
        self, *, channels: int, width: int, norm: str = "batch", members: int = 1, image_size: int = IMAGE_SIZE
    ) -> None:
        w = width
        super().__init__(
            _down(channels, w, members, norm=None),
            _down(w, 2 * w, members, norm=norm),
            _down(2 * w, 4 * w, members, norm=norm),
            *(_down(4 * w, 4 * w, members, norm=norm) for _ in range(added_blocks(image_size))),
            _down(4 * w, 4 * w, members, norm=norm, stride=1),
            nn.Conv2d(members * 4 * w, members, 4, 1, 1, groups=members, bias=False),
        )


def initialise(network: nn.Module, generators: Sequence[torch.Generator], *, deviation: float | None = 0.02) -> None:
    """Draw every convolution's weights from N(0, deviation), member by member, each from its own CPU generator.

    deviation None: weights and biases from U(-1/sqrt(n), 1/sqrt(n)) with n inputs, PyTorch's own distribution.
    Member m gets the same weights as a network of its own would from generators[m].
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        tensors = [module.weight] if deviation or module.bias is None else [module.weight, module.bias]
        bound = module.weight[0].numel() ** -0.5
        with torch.no_grad():
            for tensor in tensors:
                for part, generator in zip(tensor.chunk(len(generators)), generators, strict=True):
                    drawn = torch.empty(part.shape)
                    if deviation:
                        part.copy_(drawn.normal_(0.0, deviation, generator=generator))
                    else:
                        part.copy_(drawn.uniform_(-bound, bound, generator=generator))


def _down(channels_in: int, channels_out: int, members: int, *, norm: str | None, stride: int = 2) -> nn.Sequential:
    convolution = nn.Conv2d(members * channels_in, members * channels_out, 4, stride, 1, groups=members, bias=False)
    return nn.Sequential(convolution, *_norm(norm, channels_out, members), nn.LeakyReLU(0.2, inplace=True))


def _up(channels_in: int, channels_out: int, members: int, *, norm: str | None) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(members * channels_in, members * channels_out, 4, 2, 1, groups=members, bias=False)
    activation = nn.Tanh() if norm is None else nn.ReLU(inplace=True)
    return nn.Sequential(convolution, *_norm(norm, channels_out, members), activation)


def _norm(norm: str | None, channels: int, members: int) -> list[nn.Module]:
    """No layer for None. Raises KeyError for an unknown name."""
    if norm is None:
        return []
    layers = {
        "batch": lambda: nn.BatchNorm2d(members * channels),
        # up to 8 groups, never across members
        "group": lambda: nn.GroupNorm(members * math.gcd(8, channels), members * channels),
        "instance": lambda: nn.InstanceNorm2d(members * channels, affine=True),
    }
    return [layers[norm]()]
