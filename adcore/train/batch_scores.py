"""A pack's scores of uint8 images, in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from adcore.augment import Resampler
from adcore.networks import IMAGE_SIZE

if TYPE_CHECKING:
    from adcore.train.pack import Pack

__all__ = ["anomaly_scores", "by_batch"]

#: Images scored at a time, per member.
SCORE_BATCH = 500


def anomaly_scores(detector: Pack, images: Tensor, *, mirrored: bool = False) -> Tensor:
    """Anomaly scores of uint8 images [n, channels, side, side]: [n, members] on the CPU, higher is more anomalous.

    mirrored: as for `by_batch`.
    """
    return by_batch(detector, images, detector.score, mirrored=mirrored)


def by_batch(detector: Pack, images: Tensor, function: Callable[[Tensor], Tensor], *, mirrored: bool = False) -> Tensor:
    """Apply function to uint8 images [n, channels, side, side], resized for the detector: [n, ...] on the CPU.

    function: [batch, channels, 32, 32] in [-1, 1] to [batch, ...], SCORE_BATCH images at a time. mirrored: return the
    mean of its values for an image and for its mirror image.
    """

    def value(plain: Tensor) -> Tensor:
        return (function(plain) + function(plain.flip(3))) / 2 if mirrored else function(plain)

    resample = Resampler(images.shape[-1], IMAGE_SIZE, detector.device, cast(torch.dtype, detector.dtype))
    return torch.cat([value(resample.plain(batch.to(detector.device))) for batch in images.split(SCORE_BATCH)]).cpu()
