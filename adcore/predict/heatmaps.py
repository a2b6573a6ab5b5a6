"""Error maps as PNG files: an image as the networks see it, and beside it where it is reconstructed badly."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adcore.errors import UserError

__all__ = ["check_reconstructs", "file_name", "write_heatmap"]

#: Pixels of the file for each pixel of the networks' images.
ENLARGED = 8
#: Brightness is the error to this power, the same for all images, so that they can be compared: errors of a good
#: reconstruction, of a few hundredths, can be told apart, and so can those near 1 of a model that has been taught to
#: reconstruct anomalies badly.
POWER = 0.5
#: Most characters of an image's own name in a file's name.
LONGEST = 60


def check_reconstructs(detector: str) -> None:
    """Raises UserError for a detector that does not reconstruct images."""
    from adcore.detectors import DETECTORS

    if not DETECTORS[detector].reconstructs:
        others = ", ".join(name for name, kind in DETECTORS.items() if kind.reconstructs)
        raise UserError(f"--heatmaps: {detector} reconstructs no images, so it has no error maps; {others} do")


def file_name(number: int, image: str) -> str:
    """The name of an image's heatmap: its row in the table, from 1, so that no two are equal, and its own name."""
    return f"{number:05d}-{Path(image).stem[:LONGEST]}.png"


def write_heatmap(path: Path, image: Tensor, errors: Tensor) -> None:
    """Write image [channels, side, side] and errors [side, side], both in [0, 1], side by side. Raises OSError.

    An error of 0 is black, one of 1 is pale yellow, one of a quarter half-way (matplotlib's magma).
    """
    plain = image.expand(3, -1, -1).movedim(0, 2).mul(255).round().to(torch.uint8).numpy()
    coloured = matplotlib.colormaps["magma"](errors.clamp(0, 1).pow(POWER).double().numpy(), bytes=True)[..., :3]
    both = np.concatenate([plain, coloured], 1)
    Image.fromarray(both.repeat(ENLARGED, 0).repeat(ENLARGED, 1)).save(path, format="PNG")
