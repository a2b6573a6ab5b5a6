"""Floating-point precision of a training: in the networks and in everything else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

import torch

__all__ = ["DTYPES", "autocast"]

#: The type of weights, losses, scores and Adam's moments, by TrainConfig.precision.
DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"32-true": torch.float32, "bf16-mixed": torch.float32, "64-true": torch.float64}
)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context in which convolutions and matrix products are in bfloat16, if the precision is mixed."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
