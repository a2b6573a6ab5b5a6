"""Small data files for tests: IDX of a few images, and a file set that describes them."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

from adcore.datasets.files import DataFile, FileSet

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx_images(count: int = 3, size: int = 28, magic: int = 0x803) -> bytes:
    return struct.pack(">4I", magic, count, size, size) + bytes(i % 251 for i in range(count * size * size))


def idx_labels(count: int = 3, magic: int = 0x801, first: int = 0, classes: int = 256) -> bytes:
    return struct.pack(">2I", magic, count) + bytes((first + i) % classes for i in range(count))


def write_part(folder: Path, part: str, images: bytes, labels: bytes) -> Path:
    """Writes a gzipped part, train or t10k; returns the path of the images."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    path = folder / f"{part}-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(images))
    return path


def write_train(folder: Path, images: bytes, labels: bytes) -> Path:
    """Writes a gzipped training part; returns the path of the images."""
    return write_part(folder, "train", images, labels)


def small_set(mirror: str = "", name: str = "small") -> FileSet:
    """A set whose only part is three images and their labels."""
    contents = ((IMAGES, idx_images()), (LABELS, idx_labels()))
    part = tuple(DataFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents)
    return FileSet(name=name, parts={"train": part}, mirrors=lambda: [mirror], subfolders=(name,))
