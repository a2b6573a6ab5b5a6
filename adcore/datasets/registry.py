"""Data sets by name: `load("fashion-mnist", "train")`, or `python -m adcore.datasets fetch NAME`.

A name such as `folder:PATH` means data of one's own (adcore.datasets.own). The files of the others are searched for in
the given data folder (argument, else ADCORE_DATA) and nowhere else; without one, in the user's cache, the system folder
of the Debian package, and then on the network, which fills the cache.
Importing this module is cheap: torch and other heavy modules are imported by the functions that need them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from adcore.datasets.catalog import CIFAR10, FASHION_MNIST, MNIST
from adcore.datasets.files import DatasetError, Progress
from adcore.datasets.formats import parse_cifar10, parse_idx
from adcore.datasets.image_dataset import PARTS, DatasetInfo, ImageDataset, Part
from adcore.datasets.locate import Request, find_part
from adcore.datasets.own import KINDS, OwnPart, canonical, is_own, own_info, read_own
from adcore.errors import unknown_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DATASETS", "check_name", "describe", "load", "place_of"]

DIGITS = tuple("0123456789")


def load(
    name: str,
    part: Part,
    *,
    data_dir: str | Path | None = None,
    allow_unverified: bool = False,
    progress: Progress | None = None,
    image_size: int = 32,
) -> ImageDataset:
    """One part of the data set `name`; the files of the other part are not opened, unless they must be fetched.

    data_dir: the only folder searched, for DIR/NAME/file or DIR/file, gzipped or not (default: see the module).
    allow_unverified: also use readable files of that folder whose checksum is not the published one.
    progress: called while fetching with (activity, bytes so far, total bytes or None).
    image_size: side that images of one's own are brought to, in pixels; the others are as published.

    Raises DatasetError for an unknown name or part, for a missing, truncated or foreign file (one line that names it),
    and for data that is not found and cannot be fetched (a line for each place tried, and the ways to get the data).
    """
    import torch

    check_name(name)
    if part not in PARTS:
        raise DatasetError(str(unknown_name("part", str(part), PARTS)))
    if is_own(name):
        if data_dir is not None:
            raise DatasetError(f"--data-dir {str(data_dir)!r}: {name} has its own place; leave --data-dir out")
        loaded = read_own(canonical(name), part, image_size)
    else:
        info, read = _REGISTRY[name]
        loaded = OwnPart(info, *read(info, Request(part, data_dir, allow_unverified, progress)), notes=())
    info, images, labels = loaded.info, loaded.images, loaded.labels
    _check_arrays(info, images, labels)
    content_hash = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    # copy: the arrays are views of read-only bytes, which a tensor must not share
    return ImageDataset(info, part, torch.tensor(images), torch.tensor(labels).long(), content_hash, loaded.notes)


def check_name(name: str) -> None:
    """Raises DatasetError for an unknown name; it lists the legal names and suggests the nearest one."""
    if is_own(name):
        canonical(name)
    elif name not in DATASETS:
        error = str(unknown_name("data set", str(name), DATASETS))
        hint = f"; for a folder of your own write folder:{name}" if os.path.isdir(name) else ""
        raise DatasetError(f"{error}; or data of your own: {', '.join(f'{kind}:PATH' for kind in KINDS)}{hint}")


def place_of(name: str) -> str:
    """The name by which a data set is found from any folder. Raises DatasetError for an unknown name."""
    check_name(name)
    return canonical(name) if is_own(name) else name


def describe(name: str) -> DatasetInfo:
    """Facts about a data set; data of one's own are listed, but no image is decoded, once in a process.

    Raises DatasetError for an unknown name, and for data of one's own that are missing or laid out otherwise.
    """
    name = place_of(name)
    return own_info(name) if is_own(name) else DATASETS[name]


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
