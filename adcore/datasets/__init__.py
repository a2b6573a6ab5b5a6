"""Image data sets by name: `load("fashion-mnist", "train")`, or `python -m adcore.datasets fetch NAME`."""

from adcore.datasets.files import DatasetError, Progress
from adcore.datasets.registry import DATASETS, PARTS, DatasetInfo, ImageDataset, Part, check_name, load

__all__ = ["DATASETS", "PARTS", "DatasetError", "DatasetInfo", "ImageDataset", "Part", "Progress", "check_name", "load"]
