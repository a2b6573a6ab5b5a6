"""Image data sets by name: `load("fashion-mnist", "train")`, or `python -m adcore.datasets fetch NAME`."""

from adcore.datasets.files import DatasetError, Progress
from adcore.datasets.image_dataset import PARTS, DatasetInfo, ImageDataset, Part
from adcore.datasets.own import remember
from adcore.datasets.registry import DATASETS, check_name, describe, load, place_of

__all__ = [
    "DATASETS",
    "PARTS",
    "DatasetError",
    "DatasetInfo",
    "ImageDataset",
    "Part",
    "Progress",
    "check_name",
    "describe",
    "load",
    "place_of",
    "remember",
]
