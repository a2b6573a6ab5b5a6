"""What happens after an epoch: validate, save, report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from adcore import checkpoints as checkpoint_files
from adcore.augment import Resampler
from adcore.checkpoints import Checkpoints
from adcore.config import TrainConfig
from adcore.datamodule import AnomalyDetectionDataModule
from adcore.detectors import Detector
from adcore.exposure import validation_images
from adcore.networks import IMAGE_SIZE
from adcore.scoring import METRICS, measure
from adcore.train import Report

__all__ = ["EpochEnd", "anomaly_scores", "by_batch"]

#: Images that are scored at a time, for each member.
SCORE_BATCH = 500
#: The name that early stopping knows its figure by.
WATCHED = "watched"


class EpochEnd(pl.Callback):
    """Validates, saves a checkpoint and reports after each epoch; ends a run that diverged or ran out of patience.

    validation: uint8 images [n, channels, side, side] and labels [n]. history: the metrics of every epoch so far.
    stopper: early stopping, one of the trainer's callbacks, or None.
    """

    def __init__(
        self,
        config: TrainConfig,
        report: Report,
        validation: tuple[Tensor, Tensor],
        module: AnomalyDetectionDataModule,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.config, self.report, self.validation, self.module = config, report, validation, module
        self.checkpoints = checkpoints
        self.stopper = early_stopping(config.patience) if config.patience else None
        self.history: list[dict[str, float]] = []
        self.started = 0.0

    @property
    def diverged(self) -> bool:
        """Whether a loss of the last epoch was NaN or infinite."""
        return bool(self.history) and not math.isfinite(self.history[-1]["val_auroc_mean"])

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.diverged or self.stopped or len(self.history) == self.config.epochs

    @property
    def stopped(self) -> bool:
        """Whether early stopping ended the run."""
        return self.stopper is not None and self.stopper.wait_count >= self.stopper.patience

    def repeat(self, history: list[dict[str, float]]) -> None:
        """Report a checkpoint's epochs again: whoever listens may have missed the last of them."""
        for metrics in history:
            self.history.append(metrics)
            self.report(metrics)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.stopped  # a checkpoint of a run that had stopped: nothing is trained

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        detector = cast(Detector, pl_module)
        detector.finish_epoch()
        self.history.append(self._metrics(trainer.current_epoch + 1, detector))
        trainer.should_stop = self.diverged
        if self.stopper and not self.diverged:
            trainer.callback_metrics[WATCHED] = torch.tensor(self._watched(detector))
            # called from here, not by the trainer: the checkpoint below then holds what it made of this epoch
            self.stopper.on_validation_end(trainer, pl_module)
        if self.checkpoints:  # before the report: a trial that is stopped there has lost nothing
            self.checkpoints.save(trainer, last=self.finished)
        self.report(self.history[-1])

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint.update(checkpoint_files.content(self.config, self.history))

    def _metrics(self, epoch: int, detector: Detector) -> dict[str, float]:
        steps, classes = self.module.steps_per_epoch, self.config.classes
        means = {name: (total / steps).tolist() for name, total in detector.loss_sums.items()}  # waits for the device
        speed = self.module.images_per_epoch / (time.perf_counter() - self.started)
        measured = self._validate(detector)
        for member in range(len(classes)):
            if not all(math.isfinite(loss[member]) for loss in means.values()):
                measured[member] = dict.fromkeys(METRICS, math.nan)
        metrics: dict[str, float] = {"epoch": float(epoch)}
        for name in METRICS:
            values = [each[name] for each in measured]
            metrics[f"val_{name}_mean"] = sum(values) / len(values)
            metrics |= {f"val_{name}_{index}": value for index, value in zip(classes, values, strict=True)}
        for name, each in means.items():
            metrics |= {f"loss_{name}_{index}": loss for index, loss in zip(classes, each, strict=True)}
        return {**metrics, "images_per_second": speed}

    def _validate(self, detector: Detector) -> list[dict[str, float]]:
        """Each experiment's figures on its normal images and the anomaly classes that it may know."""
        images, labels = self.validation
        scores = anomaly_scores(detector, images, mirrored=self.config.mirrored_scores)
        measured: list[dict[str, float]] = []
        for member, experiment in enumerate(self.config.classes):
            shown, anomalous = validation_images(labels, self.config.exposure, experiment, self.config.split_seed)
            measured.append(measure(scores[shown, member], anomalous[shown]))
        return measured

    def _watched(self, detector: Detector) -> float:
        """What is to fall: the mean loss of normal validation images, or -AUROC for detectors without such a loss."""
        if not detector.has_normal_loss:
            return -self.history[-1]["val_auroc_mean"]
        images, labels = self.validation
        losses = by_batch(detector, images, detector.normal_loss)
        normal = [~self.config.exposure.anomalous(labels, index) for index in self.config.classes]
        own = [losses[images, member].mean() for member, images in enumerate(normal)]
        return float(torch.stack(own).mean())


def anomaly_scores(detector: Detector, images: Tensor, *, mirrored: bool = False) -> Tensor:
    """Anomaly scores of uint8 images [n, channels, side, side]: [n, members] on the CPU, higher is more anomalous.

    mirrored: as for `by_batch`.
    """
    return by_batch(detector, images, detector.score, mirrored=mirrored)


def by_batch(
    detector: Detector, images: Tensor, function: Callable[[Tensor], Tensor], *, mirrored: bool = False
) -> Tensor:
    """function of uint8 images [n, channels, side, side] as the detector takes them: [n, ...] on the CPU.

    function: of [batch, channels, 32, 32] in [-1, 1] to [batch, ...], SCORE_BATCH images at a time. mirrored: the mean
    of its values for an image and for its mirror image.
    """

    def value(plain: Tensor) -> Tensor:
        return (function(plain) + function(plain.flip(3))) / 2 if mirrored else function(plain)

    resample = Resampler(images.shape[-1], IMAGE_SIZE, detector.device, cast(torch.dtype, detector.dtype))
    return torch.cat([value(resample.plain(batch.to(detector.device))) for batch in images.split(SCORE_BATCH)]).cpu()


def early_stopping(patience: int) -> EarlyStopping:
    """Lightning's callback over the figure WATCHED, which is to fall; asked by on_validation_end alone.

    A figure that is not finite is no better one.
    """
    return EarlyStopping(WATCHED, patience=patience, mode="min", check_finite=False, check_on_train_epoch_end=False)
