"""Batched augmentation: flips, rotations, border crops and the resize, as two small matrix products per image.

Bilinear resizing is linear and separable: out = R x C', with one matrix for the rows and one for the columns. Cropping
picks columns of those matrices, flipping reverses their rows, and a rotation by 90 degrees is a transposition and a
flip. So every combination is a look-up in a small table of matrices, the same on any device. Pseudo-anomalies, which
are changed more, have matrices there, too.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["FLIPPED", "PLAIN", "STRETCHED", "SWAPPED", "Augmentation", "Resampler", "Transform", "transform"]

#: Largest number of pixels cropped from one border.
MAX_CROP = 2
#: Factors by which an axis is stretched: its middle part is shown, or what is missing is filled with the border.
STRETCH_FACTORS = (2.0, 1.4, 1 / 1.4, 0.5)
#: Places in Resampler's table: of plain resizing, of swapped halves, and of each factor; all crops come before these.
PLAIN, SWAPPED = 0, (MAX_CROP + 1) ** 2
STRETCHED = tuple(range(SWAPPED + 1, SWAPPED + 1 + len(STRETCH_FACTORS)))
#: To be added to a place for the same, flipped.
FLIPPED = STRETCHED[-1] + 1


class Transform(NamedTuple):
    """Transform of each image: indices into Resampler's table, and whether to transpose first; equal shapes."""

    rows: Tensor  # int64
    columns: Tensor  # int64
    transpose: Tensor  # bool


class Augmentation(NamedTuple):
    """Which random changes are made, independently of each other. Crops and rotations are those of Kim et al. 2020."""

    horizontal_flip: bool = False
    vertical_flip: bool = False
    crop: bool = False
    rotate: bool = False

    def draw(self, count: int, generator: torch.Generator) -> Transform:
        """Random transforms of `count` images, shapes [count]. A disabled change still consumes its random numbers."""

        def below(limit: int) -> Tensor:
            return torch.randint(limit, (count,), generator=generator)

        flips = below(2) * self.vertical_flip, below(2) * self.horizontal_flip
        crops = [below(MAX_CROP + 1) * self.crop for _ in range(4)]
        rows, columns = crops[0] * (MAX_CROP + 1) + crops[1], crops[2] * (MAX_CROP + 1) + crops[3]
        return transform(rows, columns, *flips, below(4) * self.rotate)


def transform(rows: Tensor, columns: Tensor, flip_rows: Tensor, flip_columns: Tensor, quarters: Tensor) -> Transform:
    """Turn images by so many quarters counter-clockwise, as torch.rot90, flip them, and change each axis.

    rows, columns: places in Resampler's table below FLIPPED; the others are whole numbers, too: int64 [n] each.
    """
    flip_rows = flip_rows ^ ((quarters == 1) | (quarters == 2)).long()
    flip_columns = flip_columns ^ ((quarters == 2) | (quarters == 3)).long()
    return Transform(rows + flip_rows * FLIPPED, columns + flip_columns * FLIPPED, quarters % 2 == 1)


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


@functools.lru_cache(maxsize=8)  # it is made for each pass over validation images
def _table(source: int, size: int) -> Tensor:
    """The matrices of all crops, of swapped halves and all stretches, then flipped: float64 [28, size, source]."""
    steps = range(MAX_CROP + 1)
    crops = [_matrix(source, size, low, high) for low in steps for high in steps]
    stretched = [_stretch(size, factor) @ crops[PLAIN] for factor in STRETCH_FACTORS]
    table = torch.stack([*crops, crops[PLAIN].roll(size // 2, 0), *stretched])
    return torch.cat([table, table.flip(1)])


def _stretch(size: int, factor: float) -> Tensor:
    """Bilinear stretching of one axis around its middle: [size, size]; beyond the border is what is at the border."""
    middle = (size - 1) / 2
    places = (middle + (torch.arange(size, dtype=torch.float64) - middle) / factor).clamp(0, size - 1)
    return (1 - (places[:, None] - torch.arange(size)).abs()).clamp_min(0)


def _matrix(source: int, size: int, low: int, high: int) -> Tensor:
    """Bilinear resizing of one axis after cropping `low` and `high` pixels from its ends: [size, source]."""
    kept = torch.eye(source, dtype=torch.float64)[None, :, low : source - high]  # [1, source, kept]
    resized = F.interpolate(kept, size=size, mode="linear", align_corners=False)[0]  # [source, size]
    return resized.T
