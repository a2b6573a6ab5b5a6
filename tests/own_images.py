"""Folders of small images of one's own: stripes that lie, and stripes that stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["own_folder", "stripes", "write_images"]


def stripes(count: int, *, standing: bool, seed: int = 0, side: int = 20) -> NDArray[np.uint8]:
    """Grey images of noisy stripes, uint8 [count, side, side]."""
    bright = np.arange(side)[:, None] // 4 % 2 * np.ones(side)
    noise = np.random.default_rng(seed).integers(0, 60, (count, side, side))
    return (150 * (bright.T if standing else bright) + noise).astype(np.uint8)


def write_images(folder: Path, images: NDArray[np.uint8], suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}{suffix}")


def own_folder(path: Path, normal: int = 60, anomaly: int = 40) -> str:
    """The data set's name of a folder with so many normal images and anomalies, not split."""
    for name, count, standing in (("normal", normal, False), ("anomaly", anomaly, True)):
        if count:
            write_images(path / name, stripes(count, standing=standing))
    return f"folder:{path}"
