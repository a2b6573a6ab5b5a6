"""The end of an epoch: validate, save, report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from adcore.config import TrainConfig
from adcore.detectors import Detector
from adcore.metrics import measure
from adcore.protocols.definitions import validation_images
from adcore.thresholds import decision_rule
from adcore.train.batch_scores import by_batch
from adcore.train.datamodule import AnomalyDetectionDataModule
from adcore.train.execution import executed
from adcore.train.member_state import MemberState
from adcore.train.pack import Pack

__all__ = ["EpochEnd", "Validation"]

#: The validation images of a member, uint8 [n, channels, side, side], and their labels, int64 [n]; the same object for
#: members that share them.
Validation = tuple[Tensor, Tensor]


class EpochEnd(pl.Callback):
    """Validates each member of a pack after each epoch and passes the results on.

    states: of its members; the epoch's metrics are added to them. until: the epoch to train to; the pack stops earlier
    if a member has ended, so that the others can continue without it. on_start: called once the optimisers exist.
    on_epoch: called last, with whether the pack stops.
    """

    def __init__(
        self,
        pack: Pack,
        states: Sequence[MemberState],
        validation: Sequence[Validation],
        module: AnomalyDetectionDataModule,
        *,
        until: int,
        on_start: Callable[[Pack], object] = lambda _: None,
        on_epoch: Callable[[Pack, bool], object],
    ) -> None:
        self.pack, self.states, self.validation, self.module = pack, states, validation, module
        self.until, self.on_start, self.on_epoch = until, on_start, on_epoch
        self.started = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        moved = {id(images): images.to(self.pack.device) for images, _ in self.validation}  # once, not for each member
        self.validation = [(moved[id(images)], labels) for images, labels in self.validation]
        self.on_start(self.pack)
        self.pack.execution = executed(self.pack)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.batches = self.module.batches(self.states[0].epoch, self.pack.device)
        self.pack.begin_epoch(self.batches)
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses = {name: total.tolist() for name, total in self.pack.losses().items()}  # waits for the device
        images = self.module.images_per_member * len(self.states)
        speed = images / (time.perf_counter() - self.started)
        self.pack.finish_epoch(self.batches)
        for member, (state, (measured, decision)) in enumerate(zip(self.states, self._validate(), strict=True)):
            means = {f"loss_{name}": each[member] / len(self.batches) for name, each in losses.items()}
            if not all(map(math.isfinite, means.values())):
                measured, decision = dict.fromkeys(measured, math.nan), {}
            own = {f"val_{name}": value for name, value in measured.items()}
            state.history.append({"epoch": float(state.epoch + 1), **own, **means, "images_per_second": speed})
            state.decision = decision
        if any(state.config.patience for state in self.states):
            for state, figure in zip(self.states, self._watched(), strict=True):
                state.watched.append(figure)
        trainer.should_stop = any(state.finished for state in self.states) or self.states[0].epoch == self.until
        self.on_epoch(self.pack, trainer.should_stop)

    def _validate(self) -> list[tuple[dict[str, float], dict[str, Any]]]:
        """Each member's metrics and decision rule; a thread computes them while a GPU scores for the next members."""
        with ThreadPoolExecutor(1, thread_name_prefix="metrics") as thread:
            scored = self._by_member(lambda detector: detector.score, mirror=True)
            futures = [
                thread.submit(_metrics_and_decision, config, scores, labels)
                for config, (scores, labels) in zip(self.pack.members, scored, strict=True)
            ]
            return [future.result() for future in futures]

    def _watched(self) -> list[float]:
        """What early stopping minimises: the loss of normal validation images, else -AUROC, else their score."""
        if not self.pack.kind.has_normal_loss:
            return [-state.goodness[0] for state in self.states]
        values = self._by_member(lambda detector: detector.normal_loss, mirror=False)
        return [
            float(losses[~config.exposure.anomalous(labels, config.classes[0])].mean())
            for config, (losses, labels) in zip(self.pack.members, values, strict=True)
        ]

    def _by_member(
        self, function: Callable[[Detector], Callable[[Tensor], Tensor]], *, mirror: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Each member's values for its validation images, [n], and their labels.

        One pass over a detector for all its members that share images and mirroring.
        """
        for detector, group in zip(self.pack, self.pack.groups, strict=True):
            passes: dict[tuple[int, bool], Tensor] = {}
            for column, member in enumerate(group):
                images, labels = self.validation[member]
                key = id(images), mirror and self.pack.members[member].mirrored_scores
                if key not in passes:
                    passes[key] = by_batch(self.pack, images, function(detector), mirrored=key[1])
                yield passes[key][:, column], labels


def _metrics_and_decision(
    config: TrainConfig, scores: Tensor, labels: Tensor
) -> tuple[dict[str, float], dict[str, Any]]:
    """A member's metrics and decision rule on its normal images and its known anomaly classes.

    Without any of these, its mean score is its one metric.
    """
    shown, anomalous = validation_images(labels, config.exposure, config.classes[0], config.split_seed)
    scores, kinds = scores[shown], anomalous[shown]
    metrics = measure(scores, kinds) if kinds.any() else {"normal_score": float(scores.double().mean())}
    return metrics, decision_rule(scores, kinds)
