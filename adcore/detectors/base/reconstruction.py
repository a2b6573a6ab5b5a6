"""Detectors that learn to reconstruct normal images and score by the reconstruction error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor, nn

from adcore.detectors.base.detector import full
from adcore.detectors.base.single import SingleDetector
from adcore.reconstruction import ERRORS, unit_range

__all__ = ["ReconstructionDetector"]


class ReconstructionDetector(SingleDetector):
    """Trained on normal images alone; the loss and the anomaly score are the reconstruction error.

    network: makes a network from images in [0, 1] to images in [0, 1]. reconstruction: the error, one of ERRORS.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "image_size", "width", "reconstruction", "learning_rate", "schedule", "weight_decay",
    )  # fmt: skip
    search: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"learning_rate": (1e-4, 1e-2), "weight_decay": (1e-7, 1e-3)}
    )
    has_normal_loss: ClassVar[bool] = True
    reconstructs: ClassVar[bool] = True
    capturable: ClassVar[bool] = True

    def __init__(self, network: Callable[[], nn.Module], *, reconstruction: str = "mse", **training: Any) -> None:
        super().__init__(network, **training)
        self.error = ERRORS[reconstruction]

    def losses(self, normal: Tensor, anomalous: Tensor) -> dict[str, Tensor]:
        return {"reconstruction": self.errors(normal).mean()}

    def errors(self, images: Tensor) -> Tensor:
        """Reconstruction error of each image, [batch]; images: [batch, channels, size, size] in [-1, 1]."""
        images = unit_range(images)
        return self.error(images, full(self.network(images)))

    def scores(self, images: Tensor) -> Tensor:
        return self.errors(images)

    def reconstructions(self, images: Tensor) -> Tensor:
        return 2 * self.network(unit_range(images)) - 1

    def normal_losses(self, images: Tensor) -> Tensor:
        """The reconstruction error, [batch], whatever the score."""
        return self.errors(images)
