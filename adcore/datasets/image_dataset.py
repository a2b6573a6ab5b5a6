"""A data set in memory, and what is known of one before it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PARTS", "DatasetInfo", "ImageDataset", "Part"]

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set, known without decoding an image."""

    name: str
    class_names: tuple[str, ...]
    channels: int
    size: int  # pixels a side
    hardest_first: tuple[int, ...] | None  # classes by AUROC under the paper's protocol, lowest first
    smallest_class: int  # fit images (5/6 of the training part) of the smallest class, to estimate a sweep's cost
    normal_class: int | None = None  # the only class that can be normal; None: each can
    has_anomalies: bool = True  # whether the training part has images of more than one class


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """One part of a data set, in memory."""

    info: DatasetInfo
    part: str  # "train" or "test"
    images: Tensor = field(repr=False)  # uint8 [n, channels, H, W]
    labels: Tensor = field(repr=False)  # int64 [n]
    content_hash: str  # SHA-256, hex, over the pixels and then the labels, one byte each
    notes: tuple[str, ...] = ()  # what the user has to know of how it was read, a line each

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
