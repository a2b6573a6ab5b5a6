"""The published files of the data sets: size and SHA-256 of the decompressed content, and sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from adcore.datasets.files import DataFile, FileSet

__all__ = ["CIFAR10", "FASHION_MNIST", "FILE_SETS", "MNIST"]


def _idx_parts(sums: Sequence[str]) -> MappingProxyType[str, tuple[DataFile, ...]]:
    """sums: SHA-256 of the training images and labels, then of the test images and labels."""
    train_images, train_labels, test_images, test_labels = sums
    return MappingProxyType(
        {
            "train": (
                DataFile("train-images-idx3-ubyte", 16 + 60_000 * 28 * 28, train_images),
                DataFile("train-labels-idx1-ubyte", 8 + 60_000, train_labels),
            ),
            "test": (
                DataFile("t10k-images-idx3-ubyte", 16 + 10_000 * 28 * 28, test_images),
                DataFile("t10k-labels-idx1-ubyte", 8 + 10_000, test_labels),
            ),
        }
    )


def _fashion_mnist_mirrors() -> Sequence[str]:
    from torchvision.datasets import FashionMNIST

    return FashionMNIST.mirrors


def _mnist_mirrors() -> Sequence[str]:
    from torchvision.datasets import MNIST as TORCHVISION_MNIST

    return TORCHVISION_MNIST.mirrors


def _cifar10_mirrors() -> Sequence[str]:
    from torchvision.datasets import CIFAR10 as TORCHVISION_CIFAR10

    return [TORCHVISION_CIFAR10.url.rsplit("/", 1)[0]]  # the binary version is next to the pickled one


FASHION_MNIST = FileSet(
    name="fashion-mnist",
    parts=_idx_parts(
        [
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ]
    ),
    mirrors=_fashion_mnist_mirrors,
    subfolders=("fashion-mnist",),
    debian_package="dataset-fashion-mnist",
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
)

MNIST = FileSet(
    name="mnist",
    parts=_idx_parts(
        [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ]
    ),
    mirrors=_mnist_mirrors,
    subfolders=("mnist",),
)

CIFAR10 = FileSet(
    name="cifar10",
    parts=MappingProxyType(
        {
            "train": tuple(DataFile(f"data_batch_{i}.bin", 10_000 * 3073, None) for i in range(1, 6)),
            "test": (DataFile("test_batch.bin", 10_000 * 3073, None),),
        }
    ),
    mirrors=_cifar10_mirrors,
    subfolders=("cifar10", "cifar-10-batches-bin"),
    # Its authors publish an MD5, c32a1d4ab5d03f1284b67883e8d87530; this is the SHA-256 of the same archive, from the
    # checksum lists of other libraries. No checksums of the files inside are published, hence the manifest.
    archive=DataFile(
        "cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    ),
)

#: Data sets that are made of files, by name.
FILE_SETS = MappingProxyType({files.name: files for files in (FASHION_MNIST, MNIST, CIFAR10)})
