"""Data sets by name: `load("fashion-mnist", "train")`, or `python -m adcore.datasets fetch NAME`.

Files are searched for in the given data folder (argument, else ADCORE_DATA) and nowhere else; without one, in the
user's cache, the system folder of the Debian package, and then on the network, which fills the cache.
Importing this module is cheap: torch and other heavy modules are imported by the functions that need them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from adcore.datasets.catalog import CIFAR10, FASHION_MNIST, MNIST
from adcore.datasets.files import DatasetError, Progress
from adcore.datasets.formats import parse_cifar10, parse_idx
from adcore.datasets.locate import Request, find_part
from adcore.errors import unknown_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DATASETS", "PARTS", "DatasetInfo", "ImageDataset", "Part", "check_name", "load"]

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set, known without opening it."""

    name: str
    class_names: tuple[str, ...]
    channels: int
    size: int  # pixels a side
    hardest_first: tuple[int, ...] | None  # classes by AUROC under the paper's protocol, lowest first
    smallest_class: int  # fit images (5/6 of the training part) of the smallest class, to estimate a sweep's cost


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """One part of a data set, in memory."""

    info: DatasetInfo
    part: str  # "train" or "test"
    images: Tensor = field(repr=False)  # uint8 [n, channels, H, W]
    labels: Tensor = field(repr=False)  # int64 [n]
    content_hash: str  # SHA-256, hex, over the pixels and then the labels, one byte each

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[1] != self.info.channels:
            raise ValueError(f"expected images [n, {self.info.channels}, H, W], got {tuple(self.images.shape)}")
        if tuple(self.labels.shape) != (len(self.images),):
            raise ValueError(f"expected labels [{len(self.images)}], got {tuple(self.labels.shape)}")

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.info.class_names

    @property
    def channels(self) -> int:
        return self.info.channels


def load(
    name: str,
    part: Part,
    *,
    data_dir: str | Path | None = None,
    allow_unverified: bool = False,
    progress: Progress | None = None,
) -> ImageDataset:
    """One part of the data set `name`; the files of the other part are not opened, unless they must be fetched.

    data_dir: the only folder searched, for DIR/NAME/file or DIR/file, gzipped or not (default: see the module).
    allow_unverified: also use readable files of that folder whose checksum is not the published one.
    progress: called while fetching with (activity, bytes so far, total bytes or None).

    Raises DatasetError for an unknown name or part, for a missing, truncated or foreign file (one line that names it),
    and for data that is not found and cannot be fetched (a line for each place tried, and the ways to get the data).
    """
    import torch

    check_name(name)
    if part not in PARTS:
        raise DatasetError(str(unknown_name("part", str(part), PARTS)))
    info, read = _REGISTRY[name]
    images, labels = read(info, Request(part, data_dir, allow_unverified, progress))
    _check_arrays(info, images, labels)
    content_hash = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    # copy: the arrays are views of read-only bytes, which a tensor must not share
    return ImageDataset(info, part, torch.tensor(images), torch.tensor(labels).long(), content_hash)


def check_name(name: str) -> None:
    """Raises DatasetError for an unknown name; it lists the legal names and suggests the nearest one."""
    if name not in DATASETS:
        raise DatasetError(str(unknown_name("data set", str(name), DATASETS)))


def _check_arrays(info: DatasetInfo, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Raises DatasetError if a reader's arrays have a wrong shape, type or label."""
    expected = (len(labels), info.channels, info.size, info.size)
    if images.shape != expected or labels.ndim != 1 or images.dtype != "uint8" or labels.dtype != "uint8":
        raise DatasetError(
            f"{info.name}: expected images uint8 {expected} and labels uint8 {expected[:1]}, "
            f"got {images.dtype} {images.shape} and {labels.dtype} {labels.shape}"
        )
    if labels.max(initial=0) >= len(info.class_names):
        raise DatasetError(f"{info.name}: label {labels.max()}, expected 0 to {len(info.class_names) - 1}")


def _read_fashion_mnist(info: DatasetInfo, request: Request) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = find_part(FASHION_MNIST, request)
    return parse_idx(images, labels, size=info.size)


def _read_mnist(info: DatasetInfo, request: Request) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = find_part(MNIST, request)
    return parse_idx(images, labels, size=info.size)


def _read_cifar10(info: DatasetInfo, request: Request) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return parse_cifar10(find_part(CIFAR10, request), size=info.size)


def _read_digits(info: DatasetInfo, request: Request) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """scikit-learn's 1,797 digits, pixels 0..16 scaled to 0..255; a sixth of each class is the test part."""
    import numpy as np
    from sklearn.datasets import load_digits

    pixels, targets = load_digits(return_X_y=True)  # [1797, 64], [1797]
    random = np.random.RandomState(0)  # not default_rng: only this stream is guaranteed not to change
    is_test = np.zeros(len(targets), dtype=bool)
    for label in range(len(info.class_names)):
        members = np.flatnonzero(targets == label)
        is_test[random.permutation(members)[: round(len(members) / 6)]] = True
    chosen = is_test if request.part == "test" else ~is_test
    images = np.rint(pixels[chosen] * (255 / 16)).astype(np.uint8).reshape(-1, 1, info.size, info.size)
    return images, np.asarray(targets)[chosen].astype(np.uint8)


CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Reader = Callable[[DatasetInfo, Request], "tuple[NDArray[np.uint8], NDArray[np.uint8]]"]

#: To add a data set: a function that returns images uint8 [n, channels, size, size] and labels uint8 [n]; a line here.
_REGISTRY: Mapping[str, tuple[DatasetInfo, Reader]] = MappingProxyType(
    {
        info.name: (info, read)
        for info, read in (
            (
                DatasetInfo("fashion-mnist", CLOTHES, 1, 28, (6, 4, 2, 0, 3, 8, 5, 7, 9, 1), 5000),
                _read_fashion_mnist,
            ),
            (DatasetInfo("mnist", DIGITS, 1, 28, None, 4518), _read_mnist),
            (DatasetInfo("cifar10", THINGS, 3, 32, None, 4167), _read_cifar10),
            (DatasetInfo("digits", DIGITS, 1, 8, None, 121), _read_digits),
        )
    }
)
DATASETS: Mapping[str, DatasetInfo] = MappingProxyType({name: info for name, (info, _) in _REGISTRY.items()})
