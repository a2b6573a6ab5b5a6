"""A pack's scores of uint8 images, in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adcore.augment import Resampler
from adcore.networks import IMAGE_SIZE

if TYPE_CHECKING:
    from adcore.train.pack import Pack

__all__ = ["anomaly_scores", "by_batch"]

#: Images scored at a time, per member: so many of IMAGE_SIZE, fewer of a larger size. Small batches leave a GPU idle.
SCORE_BATCH = 500
SCORE_BATCH_CUDA = 2000


def anomaly_scores(detector: Pack, images: Tensor, *, mirrored: bool = False) -> Tensor:
    """Anomaly scores of uint8 images [n, channels, side, side]: [n, members] on the CPU, higher is more anomalous.

    mirrored: as for `by_batch`.
    """
    return by_batch(detector, images, detector.score, mirrored=mirrored)


def by_batch(detector: Pack, images: Tensor, function: Callable[[Tensor], Tensor], *, mirrored: bool = False) -> Tensor:
    """Apply function to uint8 images [n, channels, side, side], resized for the detector: [n, ...] on the CPU.

    function: [batch, channels, size, size] in [-1, 1] to [batch, ...]. mirrored: return the
    mean of its values for an image and for its mirror image.
    """

    def value(plain: Tensor) -> Tensor:
        return (function(plain) + function(plain.flip(3))) / 2 if mirrored else function(plain)

    size = detector.image_size
    resample = Resampler(images.shape[-1], size, detector.device, detector.dtype)
    count = SCORE_BATCH_CUDA if detector.device.type == "cuda" else SCORE_BATCH
    batches = images.split(count * IMAGE_SIZE**2 // size**2)
    return torch.cat([value(resample.plain(batch.to(detector.device))) for batch in batches]).cpu()
