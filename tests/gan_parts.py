"""A small two-discriminator GAN and images of digits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from adcore.augment import Resampler
from adcore.config import LOSS_WEIGHTS
from adcore.datasets import ImageDataset
from adcore.detectors import TwoDiscriminatorGAN
from adcore.networks import IMAGE_SIZE
from adcore.random_streams import generator

CPU = torch.device("cpu")
ALL_WEIGHTS = dict.fromkeys(LOSS_WEIGHTS, 1.0)


def make(classes: Sequence[int] = (0, 1, 2), *, channels: int = 1, **changes: Any) -> TwoDiscriminatorGAN:
    settings: dict[str, Any] = {
        "channels": channels,
        "width": 4,
        "norm": "batch",
        "weights": [ALL_WEIGHTS] * len(classes),
        "generators": [generator(0, index, "init") for index in classes],
    }
    return TwoDiscriminatorGAN(**(settings | changes)).double()


def images_of(data: ImageDataset, positions: slice) -> Tensor:
    return Resampler(8, IMAGE_SIZE, CPU, torch.float64).plain(data.images[positions])
