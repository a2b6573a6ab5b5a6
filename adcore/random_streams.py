"""Random streams: each draw comes from a generator named by (seed, class, purpose, epoch), never from the global one.

Ten experiments trained in one network therefore draw the same numbers as ten separate runs, and a resumed run continues
exactly. Generators are always on the CPU, so that the draws do not depend on the device.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["PURPOSES", "generator", "permutation"]

#: A purpose's position in this tuple is part of the seed: append, never reorder.
PURPOSES = (
    "init", "order-normal", "order-anomaly", "augment-normal", "augment-anomaly", "sampling", "split", "known",
    "pollution", "noise", "train-images", "test-images", "pseudo",
)  # fmt: skip


def generator(seed: int, experiment: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A CPU generator for one purpose of one experiment in one epoch. Raises ValueError for an unknown purpose."""
    sequence = np.random.SeedSequence([seed, experiment, PURPOSES.index(purpose), epoch])
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def permutation(count: int, seed: int, experiment: int, purpose: str, epoch: int = 0) -> Tensor:
    """A random order of 0..count-1, int64 [count]."""
    return torch.randperm(count, generator=generator(seed, experiment, purpose, epoch))
