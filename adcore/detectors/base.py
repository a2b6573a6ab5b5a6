"""What training and scoring ask of a detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

__all__ = ["Detector"]


class Detector(LightningModule):
    """A LightningModule that trains several experiments, its members, side by side and scores images for each.

    It is made with channels, steps_per_epoch, epochs, generators (one CPU random generator per member, the source of
    all that it draws) and the settings it names, by keyword.

    settings: names of the TrainConfig attributes that it takes. search: the range of each setting that a search varies,
    on a log scale. has_normal_loss: whether `normal_loss` is there; if not, early stopping watches validation AUROC.
    reconstructs: whether `reconstruct` is there. loss_sums: each loss's sum over the steps since the epoch began, by
    name, [members].
    """

    settings: ClassVar[tuple[str, ...]] = ()
    search: ClassVar[Mapping[str, tuple[float, float]]] = {}
    has_normal_loss: ClassVar[bool] = False
    reconstructs: ClassVar[bool] = False
    loss_sums: dict[str, Tensor]

    def on_train_epoch_start(self) -> None:
        self.loss_sums = {}

    def add_losses(self, terms: Mapping[str, Tensor]) -> None:
        """Add a step's losses by name, [members] each, to the epoch's."""
        for name, value in terms.items():
            self.loss_sums[name] = self.loss_sums.get(name, 0) + value.detach()

    def score(self, images: Tensor) -> Tensor:
        """Anomaly scores, higher is more anomalous, in eval mode.

        images: [batch, channels, 32, 32] in [-1, 1], the same for every member. Returns [batch, members].
        """
        raise NotImplementedError

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions in [-1, 1], [batch, members, channels, 32, 32], in eval mode. images: as for `score`."""
        raise NotImplementedError

    def normal_loss(self, images: Tensor) -> Tensor:
        """The training loss of each image as a normal one, which early stopping watches; in eval mode.

        images: as for `score`. Returns [batch, members].
        """
        raise NotImplementedError

    def finish_epoch(self) -> None:
        """Called after an epoch's last step, before scores are asked for."""

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Eval mode without gradients, and the mode that was before at the end."""
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(was_training)
