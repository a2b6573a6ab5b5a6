"""The two binary layouts of images and labels: IDX (MNIST and its relatives) and the CIFAR-10 binary version."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from adcore.datasets.files import Content, DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["parse_cifar10", "parse_idx"]

IDX_IMAGES, IDX_LABELS = 0x803, 0x801  # unsigned bytes in three dimensions, in one
CLASSES = 10


def parse_idx(images: Content, labels: Content, *, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Parse IDX files to (images [n, 1, size, size], labels [n]).

    Raises DatasetError, one line starting with the file, for a wrong magic number, shape or count.
    """
    import numpy as np

    count, height, width = _idx_shape(images, IDX_IMAGES, dimensions=3)
    if (height, width) != (size, size):
        raise DatasetError(f"{images.path}: images of {height}x{width} pixels, expected {size}x{size}")
    (label_count,) = _idx_shape(labels, IDX_LABELS, dimensions=1)
    if label_count != count:
        raise DatasetError(f"{labels.path}: {label_count} labels for the {count} images of {images.path.name}")
    pixels = np.frombuffer(images.data, np.uint8, offset=16).reshape(count, 1, size, size)
    return pixels, _checked_labels(np.frombuffer(labels.data, np.uint8, offset=8), labels)


def _idx_shape(content: Content, magic: int, *, dimensions: int) -> tuple[int, ...]:
    header = 4 + 4 * dimensions
    if len(content.data) < header:
        raise DatasetError(f"{content.path}: {len(content.data)} bytes, too short for an IDX file")
    actual_magic, *shape = struct.unpack(f">{1 + dimensions}I", content.data[:header])  # big-endian
    if actual_magic != magic:
        raise DatasetError(
            f"{content.path}: not the expected IDX file, magic number 0x{actual_magic:08x}, not 0x{magic:08x}"
        )
    expected = header + math.prod(shape)
    if shape[0] == 0:
        raise DatasetError(f"{content.path}: 0 images or labels, expected at least one")
    if len(content.data) != expected:
        raise DatasetError(
            f"{content.path}: {len(content.data)} bytes, but shape {shape} in its header needs {expected}"
        )
    return tuple(shape)


def parse_cifar10(contents: Sequence[Content], *, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Parse records of a label byte and a red, green and blue plane to (images [n, 3, size, size], labels [n]).

    Raises DatasetError, one line starting with the file, if it is not a whole number of such records.
    """
    import numpy as np

    record = 1 + 3 * size * size
    images: list[NDArray[np.uint8]] = []
    labels: list[NDArray[np.uint8]] = []
    for content in contents:
        if not content.data or len(content.data) % record:
            raise DatasetError(
                f"{content.path}: {len(content.data)} bytes, not a whole number of {record}-byte records"
            )
        records = np.frombuffer(content.data, np.uint8).reshape(-1, record)
        labels.append(_checked_labels(records[:, 0], content))
        images.append(records[:, 1:].reshape(-1, 3, size, size))
    return np.concatenate(images), np.concatenate(labels)


def _checked_labels(labels: NDArray[np.uint8], content: Content) -> NDArray[np.uint8]:
    if labels.max() >= CLASSES:
        raise DatasetError(f"{content.path}: label {labels.max()}, expected 0 to {CLASSES - 1}")
    return labels
