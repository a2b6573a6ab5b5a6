"""Detectors by name: LightningModules with score(images) -> [batch, members], higher is more anomalous."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adcore.detectors.base import Detector
from adcore.detectors.gan import TwoDiscriminatorGAN

__all__ = ["DETECTORS", "Detector", "TwoDiscriminatorGAN"]

DETECTORS: Mapping[str, type[TwoDiscriminatorGAN]] = MappingProxyType({"gan": TwoDiscriminatorGAN})
