"""Arrays in the form of MedMNIST: `npz:FILE` with train_images, train_labels, test_images, test_labels and val_*."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adcore.datasets.files import DatasetError
from adcore.datasets.image_dataset import Part
from adcore.datasets.images import resized
from adcore.datasets.listing import class_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Arrays", "open_npz"]

#: The smallest square that is kept as it is: augmentation crops up to 2 pixels from each border.
SMALLEST = 5
#: Names of a part's arrays begin with these; the second is optional.
PREFIXES: Mapping[Part, tuple[str, ...]] = {"train": ("train", "val"), "test": ("test",)}


@dataclass(frozen=True)
class Arrays:
    """A file of arrays whose labels are read. labels: of each part, as text."""

    path: Path
    channels: int
    labels: Mapping[Part, list[str]]
    notes: tuple[str, ...] = field(default=())

    def counts(self) -> dict[Part, dict[str, int]]:
        """Number of images of each class, by part."""
        return {part: dict(Counter(labels)) for part, labels in self.labels.items()}

    def read(self, part: Part, image_size: int) -> NDArray[np.uint8]:
        """A part's images, [n, channels, size, size]: squares of SMALLEST to image_size as they are, others resized."""
        import numpy as np

        stored = [array for name in PREFIXES[part] if (array := _read(self.path, f"{name}_images")) is not None]
        shapes = {array.shape[1:] for array in stored}
        if len(shapes) > 1:
            raise DatasetError(f"npz:{self.path}: images of {' and '.join(map(str, shapes))} in one part")
        images = np.concatenate(stored)
        images = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        height, width = images.shape[2:]
        is_kept = SMALLEST <= height == width <= image_size or not len(images)
        return images if is_kept else resized(images, image_size)


def open_npz(path: Path) -> Arrays:
    """Check a file's arrays and read its labels. No pickled object is loaded.

    Raises DatasetError for a file that is none, and for arrays that are missing or of another type or shape.
    """
    labels: dict[Part, list[str]] = {}
    channels: set[int] = set()
    for part, prefixes in PREFIXES.items():
        labels[part] = []
        for prefix in prefixes:
            shape, own = _shape(path, f"{prefix}_images"), _read(path, f"{prefix}_labels")
            if prefix == "val" and shape is None and own is None:
                continue
            if shape is None or own is None:
                raise DatasetError(f"npz:{path}: expected {prefix}_images and {prefix}_labels")
            channels.add(1 if len(shape) == 3 else 3)
            labels[part] += _as_text(own, shape[0], f"npz:{path}: {prefix}_labels")
    if len(channels) > 1:
        raise DatasetError(f"npz:{path}: grey and coloured images; expected one kind")
    joined = ("val_images join train_images: a sixth of both, chosen by --split-seed, is for validation",)
    return Arrays(path, channels.pop(), labels, joined if _shape(path, "val_images") else ())


def _as_text(labels: NDArray[Any], count: int, of: str) -> list[str]:
    """Labels [n] or [n, 1] of `count` images as text. Raises DatasetError for others."""
    if labels.shape not in ((count,), (count, 1)) or labels.dtype.kind not in "iubU":
        raise DatasetError(
            f"{of}: {labels.dtype} {labels.shape}, expected a whole number or a text for each of {count} images"
        )
    return [class_name(str(label), of) for label in labels.reshape(-1).tolist()]


def _shape(path: Path, name: str) -> tuple[int, ...] | None:
    """The shape of an array of images, from its header; None if there is no such array."""
    from numpy.lib import format as npy

    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            read = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(member)
    except KeyError:
        return None
    except Exception as error:  # on foreign bytes a decoder may raise anything
        raise _unreadable(path, error) from error
    if dtype != "uint8" or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or not all(shape[1:3]):
        raise DatasetError(
            f"npz:{path}: {name} is {dtype} {shape}, expected uint8 [n, height, width] or [n, height, width, 3]"
        )
    return shape


def _read(path: Path, name: str) -> NDArray[Any] | None:
    """An array of the file; None if there is no such array."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays.get(name)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DatasetError:
    reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).split("\n")[0]
    return DatasetError(f"npz:{path}: cannot be read as arrays without pickled objects ({reason})")
