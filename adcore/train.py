"""Train one configuration on one or more experiments: `train(config, report)`, or by hand `python -m adcore.train`.

Heavy imports stand inside the functions: a mistake on the command line is answered before torch has loaded.
"""

from __future__ import annotations

import dataclasses
import logging
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from adcore.config import TrainConfig
from adcore.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from adcore.checkpoints import Checkpoints
    from adcore.datamodule import AnomalyDetectionDataModule
    from adcore.datasets import ImageDataset
    from adcore.detectors import Detector
    from adcore.splits import Split

__all__ = ["Report", "TrainResult", "load_detector", "split_train", "train"]

#: Called after every epoch with its metrics; by hand it prints, in a trial it is tune.report, in a test list.append.
Report = Callable[[dict[str, float]], object]


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """How a run ended: state is "complete" or "diverged"; history holds each epoch's metrics as reported."""

    state: str
    history: list[dict[str, float]]
    detector: Detector
    images_per_epoch: int

    @property
    def seconds(self) -> float:
        """How long all epochs trained, validation apart, whenever that was."""
        return sum(self.images_per_epoch / epoch["images_per_second"] for epoch in self.history)


def train(
    config: TrainConfig, report: Report, *, data: ImageDataset, checkpoints: Checkpoints | None = None
) -> TrainResult:
    """Train config's detector on the train part `data` of config's data set and report after every epoch.

    Reported: epoch (from 1), val_<metric>_<i> of each experiment i and each of scoring.METRICS with their means
    val_<metric>_mean, loss_<name>_<i> (means over the epoch), images_per_second (training alone, images of all
    experiments). All are floats. Validation counts the anomaly classes that an experiment may know (adcore.exposure).
    With a patience, all experiments stop together, on the mean over them of what early stopping watches.
    A run with a loss that is NaN or infinite ends after that epoch: state "diverged", metrics NaN for the experiments
    that it befell. With checkpoints, a run that finds one goes on behind it, to the same numbers to the bit on the CPU;
    the epochs in it are reported again. Raises UserError for a checkpoint that is broken or of other settings,
    and for data that lack a class.
    """
    import pytorch_lightning as pl
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    from adcore.checkpoints import PlainCheckpointIO
    from adcore.epoch_end import EpochEnd
    from adcore.splits import require_every_class

    _quiet_lightning()
    require_every_class(data.labels, len(data.class_names))
    parts = split_train(config, data.labels)
    module = _data_module(config, data, parts.fit)
    detector = _detector(config, data.channels, module.steps_per_epoch)
    validation = (data.images[parts.validation], data.labels[parts.validation])
    epochs = EpochEnd(config, report, validation, module, checkpoints)
    trainer = pl.Trainer(
        max_epochs=config.epochs,
        accelerator="auto",
        devices=1,
        precision="64-true" if config.precision == "64-true" else "32-true",
        callbacks=[epochs, epochs.stopper] if epochs.stopper else [epochs],
        # one process, whatever launcher's variables are about: Lightning would take them for its own
        plugins=[PlainCheckpointIO(), LightningEnvironment()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,
    )
    resumed = checkpoints.path if checkpoints and checkpoints.path.exists() else None
    if resumed:
        history, weights = _resume(resumed, config)
        _load_weights(detector, weights, resumed)
        epochs.repeat(history)
    if not epochs.finished:
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(detector, datamodule=module, ckpt_path=resumed, weights_only=True)
        except SystemExit as ended:
            # Lightning's answer to an interrupt: SIGINT is ignored from then on, and the process ends with code 1
            if isinstance(ended.__context__, KeyboardInterrupt):
                signal.signal(signal.SIGINT, on_interrupt)
                raise KeyboardInterrupt from None
            raise
    detector.to(trainer.strategy.root_device)  # Lightning leaves it on the CPU, where scoring would take minutes
    state = "diverged" if epochs.diverged else "complete"
    return TrainResult(state, epochs.history, detector, module.images_per_epoch)


def split_train(config: TrainConfig, labels: Tensor) -> Split:
    """Positions of config's fit and validation images. labels: int64 [n] of the train part.

    Raises UserError for fewer validation images than AUROC needs.
    """
    from adcore.splits import split, split_counted

    names = ("split_seed", "images_per_class", "validation_images", "fold")
    settings = {name: getattr(config, name) for name in names}
    if config.exposure.counts:
        return split_counted(labels, config.exposure, config.classes[0], **settings)
    return split(labels, **settings)


def load_detector(path: Path, channels: int) -> tuple[TrainConfig, Detector]:
    """The configuration and the trained detector of a checkpoint, on the CPU. Raises UserError if it is not one."""
    from adcore import checkpoints

    config, _, weights = checkpoints.read(path)
    detector = _detector(config, channels, steps_per_epoch=1)
    _load_weights(detector, weights, path)
    return config, detector


def _load_weights(detector: Detector, weights: dict[str, Tensor], path: Path) -> None:
    try:
        detector.load_state_dict(weights)
    except (RuntimeError, AttributeError, KeyError, TypeError) as error:  # other names, shapes or kinds of values
        raise UserError(
            f"{path}: weights of another network than this version's {type(detector).__name__}; move it away"
        ) from error


def _resume(path: Path, config: TrainConfig) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    from adcore import checkpoints

    stored, history, weights = checkpoints.read(path)
    if stored != config:
        names = [f.name for f in dataclasses.fields(config) if getattr(stored, f.name) != getattr(config, f.name)]
        changes = ", ".join(f"{name}: {getattr(stored, name)} there, {getattr(config, name)} now" for name in names)
        raise UserError(f"{path}: made with other settings ({changes}); name another file, or the same settings")
    return history, weights


def _detector(config: TrainConfig, channels: int, steps_per_epoch: int) -> Detector:
    from adcore.detectors import DETECTORS
    from adcore.streams import generator

    kind = DETECTORS[config.detector]
    detector = kind(
        channels=channels,
        steps_per_epoch=steps_per_epoch,
        epochs=config.epochs,
        generators=[generator(config.train_seed, index, "init") for index in config.classes],
        **{name: getattr(config, name) for name in kind.settings},
    )
    return detector.double() if config.precision == "64-true" else detector


def _data_module(config: TrainConfig, data: ImageDataset, fit: Tensor) -> AnomalyDetectionDataModule:
    import torch

    from adcore.augment import Augmentation
    from adcore.datamodule import AnomalyDetectionDataModule
    from adcore.protocols import one_vs_rest

    draw = one_vs_rest(
        data.images,
        data.labels,
        fit,
        classes=config.classes,
        sampling=config.sampling,
        clusters=config.clusters,
        train_seed=config.train_seed,
        split_seed=config.split_seed,
        content_hash=data.content_hash,
        exposure=config.exposure,
    )
    return AnomalyDetectionDataModule(
        data.images,
        draw(0),
        redraw=draw if config.draws == "each-epoch" else None,
        batch_size=config.batch_size,
        augmentation=Augmentation(config.horizontal_flip, config.vertical_flip, config.crop, config.rotate),
        train_seed=config.train_seed,
        dtype=torch.float64 if config.precision == "64-true" else torch.float32,
    )


def _quiet_lightning() -> None:
    """Lightning's start-up lines and advice are about settings that are not the caller's."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")


if __name__ == "__main__":
    from adcore.train_command import main

    main()
