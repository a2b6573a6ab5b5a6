"""What training and scoring ask of a detector."""

from __future__ import annotations

from pytorch_lightning import LightningModule
from torch import Tensor

__all__ = ["Detector"]


class Detector(LightningModule):
    """A LightningModule that trains several experiments, its members, side by side and scores images for each.

    loss_sums: each loss's sum over the steps since the epoch began, by name, [members].
    """

    loss_sums: dict[str, Tensor]

    def score(self, images: Tensor) -> Tensor:
        """Anomaly scores, higher is more anomalous, in eval mode.

        images: [batch, channels, 32, 32] in [-1, 1], the same for every member. Returns [batch, members].
        """
        raise NotImplementedError
