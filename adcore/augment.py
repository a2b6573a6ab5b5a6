"""Batched augmentation: flips, rotations, border crops and the resize, as two small matrix products per image.

Bilinear resizing is linear and separable: out = R x C', with one matrix for the rows and one for the columns. Cropping
picks columns of those matrices, flipping reverses their rows, and a rotation by 90 degrees is a transposition and a
flip. So every combination is a look-up in a small table of matrices, the same on any device.
"""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Augmentation", "Resampler", "Transform"]

#: Largest number of pixels cropped from one border.
MAX_CROP = 2


@dataclasses.dataclass(frozen=True)
class Transform:
    """Transform of each image: indices into Resampler's table, and whether to transpose first; equal shapes."""

    rows: Tensor  # int64
    columns: Tensor  # int64
    transpose: Tensor  # bool


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Which random changes are made, independently of each other. Crops and rotations are those of Kim et al. 2020."""

    horizontal_flip: bool = False
    vertical_flip: bool = False
    crop: bool = False
    rotate: bool = False

    def draw(self, count: int, generator: torch.Generator) -> Transform:
        """Random transforms of `count` images, shapes [count]. A disabled change still consumes its random numbers."""

        def below(limit: int) -> Tensor:
            return torch.randint(limit, (count,), generator=generator)

        flip_rows, flip_columns = below(2) * self.vertical_flip, below(2) * self.horizontal_flip
        crops = [below(MAX_CROP + 1) * self.crop for _ in range(4)]
        quarters = below(4) * self.rotate  # counter-clockwise, as torch.rot90
        flip_rows = flip_rows ^ ((quarters == 1) | (quarters == 2)).long()
        flip_columns = flip_columns ^ ((quarters == 2) | (quarters == 3)).long()
        return Transform(_code(flip_rows, *crops[:2]), _code(flip_columns, *crops[2:]), quarters % 2 == 1)


class Resampler:
    """Turns uint8 images of side `source` into float images of side `size` in [-1, 1]."""

    def __init__(self, source: int, size: int, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.table = _table(source, size).to(device, dtype)

    def plain(self, images: Tensor) -> Tensor:
        """Resize only. images: uint8 [..., side, side]. Returns [..., size, size]."""
        return self._scale(self.table[0] @ images.to(self.table.dtype) @ self.table[0].T)

    def __call__(self, images: Tensor, transform: Transform) -> Tensor:
        """Resize and transform. images: uint8 [batch, members, channels, side, side]; transform: [batch, members] each.

        Returns [batch, members, channels, size, size].
        """
        pixels = images.to(self.table.dtype)
        pixels = torch.where(transform.transpose[..., None, None, None], pixels.transpose(-1, -2), pixels)
        rows = self.table[transform.rows].unsqueeze(2)  # [batch, members, 1, size, side]
        columns = self.table[transform.columns].unsqueeze(2).transpose(-1, -2)
        return self._scale(rows @ pixels @ columns)

    @staticmethod
    def _scale(pixels: Tensor) -> Tensor:
        return pixels / 127.5 - 1.0


def _code(flip: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return (flip * (MAX_CROP + 1) + low) * (MAX_CROP + 1) + high


@functools.lru_cache(maxsize=8)  # it is made for each pass over validation images
def _table(source: int, size: int) -> Tensor:
    """The matrices of all crops, then the same flipped: float64 [18, size, source]."""
    steps = range(MAX_CROP + 1)
    table = [_matrix(source, size, low, high) for low in steps for high in steps]
    return torch.stack([*table, *(matrix.flip(0) for matrix in table)])


def _matrix(source: int, size: int, low: int, high: int) -> Tensor:
    """Bilinear resizing of one axis after cropping `low` and `high` pixels from its ends: [size, source]."""
    kept = torch.eye(source, dtype=torch.float64)[None, :, low : source - high]  # [1, source, kept]
    resized = F.interpolate(kept, size=size, mode="linear", align_corners=False)[0]  # [source, size]
    return resized.T
