"""AnomalyDetectionDataModule: uint8 images that live on the device, served by index gather and changed in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from adcore.augment import Augmentation, Resampler, Transform
from adcore.networks import IMAGE_SIZE
from adcore.protocols import Experiment
from adcore.streams import generator, permutation

__all__ = ["AnomalyDetectionDataModule", "EpochBatches"]


class AnomalyDetectionDataModule(LightningDataModule):
    """Batches of several experiments side by side, with fresh order and augmentation each epoch.

    images: uint8 [n, channels, side, side]; experiments: their positions in it, one size for all.
    redraw: what gives the experiments of each epoch, of the same size, where they differ from epoch to epoch.
    batch_size: images per step and experiment, half normal and half anomalous; 1 stands for one of each. Experiments
    without anomalies fill it with normal images.
    """

    def __init__(
        self,
        images: Tensor,
        experiments: list[Experiment],
        *,
        batch_size: int,
        augmentation: Augmentation,
        train_seed: int,
        dtype: torch.dtype = torch.float32,
        redraw: Callable[[int], list[Experiment]] | None = None,
    ) -> None:
        super().__init__()
        self.images = images
        self.experiments, self.redraw = experiments, redraw
        self.kinds = ("normal", "anomaly") if len(experiments[0].anomalous) else ("normal",)
        self.half = min(max(1, batch_size // len(self.kinds)), len(experiments[0].normal))
        self.augmentation = augmentation
        self.train_seed = train_seed
        self.dtype = dtype

    @property
    def images_per_epoch(self) -> int:
        """Images that pass the networks in an epoch, of all experiments."""
        return self.steps_per_epoch * self.half * len(self.kinds) * len(self.experiments)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch; the images that do not fill a last batch sit this epoch out."""
        return len(self.experiments[0].normal) // self.half

    def train_dataloader(self) -> EpochBatches:
        """The batches of the trainer's current epoch, on its device."""
        assert self.trainer is not None
        return self.batches(self.trainer.current_epoch, self.trainer.strategy.root_device)

    def batches(self, epoch: int, device: torch.device) -> EpochBatches:
        """The batches of one epoch, the same whatever came before."""
        self.images = self.images.to(device)
        return EpochBatches(self, epoch, device)


class EpochBatches:
    """Pairs (normal, anomalous) of float images in [-1, 1], [half, members*channels, 32, 32] each.

    The second of a pair is empty, [0, ...], where experiments have no anomalies.
    """

    def __init__(self, module: AnomalyDetectionDataModule, epoch: int, device: torch.device) -> None:
        self.images, self.half = module.images, module.half
        self.resample = Resampler(module.images.shape[-1], IMAGE_SIZE, device, module.dtype)
        experiments = module.redraw(epoch) if module.redraw else module.experiments
        drawn = [_draw(module, experiments, kind, epoch) for kind in module.kinds]
        self.positions, rows, columns, transpose = (
            torch.cat([_by_step(each[field], module) for each in drawn], 1).to(device) for field in range(4)
        )  # [steps, half or 2*half, members] each: a step's normal images, then its anomalies
        self.transform = Transform(rows, columns, transpose)

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(len(self)):
            batch = self.resample(self.images[self.positions[step]], self.transform[step]).flatten(1, 2)
            yield batch[: self.half], batch[self.half :]


def _draw(module: AnomalyDetectionDataModule, experiments: list[Experiment], kind: str, epoch: int) -> list[Tensor]:
    """Positions in order of use, and the transform of each: rows, columns, transpose; [n, members] each."""
    drawn: list[tuple[Tensor, ...]] = []
    for experiment in experiments:
        own = experiment.normal if kind == "normal" else experiment.anomalous
        seed, name = module.train_seed, experiment.normal_class
        order = permutation(len(own), seed, name, f"order-{kind}", epoch)
        change = module.augmentation.draw(len(own), generator(seed, name, f"augment-{kind}", epoch))
        drawn.append((own[order], change.rows, change.columns, change.transpose))
    return [torch.stack(field, 1) for field in zip(*drawn, strict=True)]


def _by_step(each: Tensor, module: AnomalyDetectionDataModule) -> Tensor:
    """[n, members] to [steps, half, members]."""
    return each[: module.steps_per_epoch * module.half].unflatten(0, (-1, module.half))
