"""AnomalyDetectionDataModule: uint8 images kept on the device, served by index gather and augmented in batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from adcore.augment import Augmentation, Resampler, Transform
from adcore.networks import IMAGE_SIZE
from adcore.protocols.experiments import Experiment
from adcore.pseudo_anomalies import PseudoAnomalies
from adcore.random_streams import generator, permutation

__all__ = ["AnomalyDetectionDataModule", "EpochBatches", "ImageStream"]

#: The draws of an epoch: positions and transforms, [steps, half or 2*half, streams] each.
Drawn = tuple[Tensor, Transform]


@dataclasses.dataclass(frozen=True)
class ImageStream:
    """The images that one or more members of a pack are trained on, in the same order and augmented alike.

    draw: the experiment of an epoch; its number of images is the same in every epoch. pseudo: how anomalies are made.
    """

    draw: Callable[[int], Experiment]
    augmentation: Augmentation
    train_seed: int
    pseudo: PseudoAnomalies | None = None


class AnomalyDetectionDataModule(LightningDataModule):
    """Batches of several experiments side by side, with fresh order and augmentation each epoch.

    images: uint8 [n, channels, side, side]; streams: the streams served, all of one size; stream_of: by member of the
    pack, the index of its stream. batch_size: images per step and experiment, half normal and half anomalous; 1 means
    one of each. Experiments without anomalies fill it with normal images. image_size: side of the images served.
    """

    def __init__(
        self,
        images: Tensor,
        streams: Sequence[ImageStream],
        stream_of: Sequence[int],
        *,
        batch_size: int,
        epochs: int,
        image_size: int = IMAGE_SIZE,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.images, self.streams, self.stream_of = images, tuple(streams), tuple(stream_of)
        first = streams[0].draw(0)
        has_anomalies = len(first.anomalous) or self.streams[0].pseudo
        self.kinds = ("normal", "anomaly") if has_anomalies else ("normal",)
        self.half = min(max(1, batch_size // len(self.kinds)), len(first.normal))
        #: Optimiser steps in an epoch; images that do not fill a last batch are skipped in this epoch.
        self.steps_per_epoch = len(first.normal) // self.half
        self.epochs, self.image_size, self.dtype = epochs, image_size, dtype
        self.ahead: tuple[int, Future[Drawn]] | None = None

    @property
    def images_per_member(self) -> int:
        """Images that a member's networks process in an epoch."""
        return self.steps_per_epoch * self.half * len(self.kinds)

    def train_dataloader(self) -> range:
        """The step numbers of an epoch: images are on the device already."""
        return range(self.steps_per_epoch)

    def batches(self, epoch: int, device: torch.device) -> EpochBatches:
        """The batches of one epoch, independent of earlier ones. The next epoch is drawn while this one trains."""
        self.images = self.images.to(device)
        drawn = self._ahead(epoch) or self._draw(epoch)
        if epoch + 1 < self.epochs:
            with_one = ThreadPoolExecutor(1, thread_name_prefix="draw")
            self.ahead = epoch + 1, with_one.submit(self._draw, epoch + 1)
            with_one.shutdown(wait=False)
        return EpochBatches(self, epoch, device, drawn)

    def _ahead(self, epoch: int) -> Drawn | None:
        """The draws for this epoch, if made while another one trained."""
        if self.ahead is None:
            return None
        (drawn_for, future), self.ahead = self.ahead, None
        return future.result() if drawn_for == epoch else None

    def _draw(self, epoch: int) -> Drawn:
        experiments = [stream.draw(epoch) for stream in self.streams]
        drawn = [self._draw_kind(experiments, kind, epoch) for kind in self.kinds]
        positions, rows, columns, transpose = (
            torch.cat([tensors[field] for tensors in drawn], 1) for field in range(4)
        )
        return positions, Transform(rows, columns, transpose)

    def _draw_kind(self, experiments: list[Experiment], kind: str, epoch: int) -> list[Tensor]:
        """Positions in order of use, and the transform of each: rows, columns, transpose; [steps, half, streams]."""
        drawn: list[tuple[Tensor, ...]] = []
        for stream, experiment in zip(self.streams, experiments, strict=True):
            positions = experiment.normal if kind == "normal" else experiment.anomalous
            seed, name = stream.train_seed, experiment.normal_class
            order = permutation(len(positions), seed, name, f"order-{kind}", epoch)
            change = stream.augmentation.draw(len(positions), generator(seed, name, f"augment-{kind}", epoch))
            positions = positions[order]
            if kind == "anomaly" and stream.pseudo:
                drawn_by = generator(seed, name, "pseudo", epoch)
                positions, change = stream.pseudo.mixed_with(positions, change, experiment.normal, drawn_by)
            drawn.append((positions, *change))
        used = self.steps_per_epoch * self.half
        return [torch.stack(field, 1)[:used].unflatten(0, (-1, self.half)) for field in zip(*drawn, strict=True)]


class EpochBatches:
    """An epoch's batches: pairs of normal and anomalous images in [-1, 1], [half, streams, channels, size, size] each.

    The second of a pair is empty, [0, ...], if experiments have no anomalies.
    """

    def __init__(self, module: AnomalyDetectionDataModule, epoch: int, device: torch.device, drawn: Drawn) -> None:
        self.images, self.half, self.stream_of, self.epoch = module.images, module.half, module.stream_of, epoch
        self.resample = Resampler(module.images.shape[-1], module.image_size, device, module.dtype)
        positions, transform = drawn
        self.tables = [
            table.to(device) for table in (positions, transform.rows, transform.columns, transform.transpose)
        ]  # [steps, half or 2*half, streams] each: a step's normal images, then its anomalies

    def __len__(self) -> int:
        return len(self.tables[0])

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self._prepare([table[step] for table in self.tables])

    def at(self, counter: Tensor) -> tuple[Tensor, Tensor]:
        """The batch whose number is in a tensor on the device, int64 [1]: nothing waits for the host."""
        return self._prepare([table.index_select(0, counter)[0] for table in self.tables])

    def of(self, members: range) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of some members alone, as their detector takes them."""
        streams = [self.stream_of[member] for member in members]
        for step in range(len(self)):
            normal, anomalous = self._prepare([table[step][:, streams] for table in self.tables])
            yield normal.flatten(1, 2), anomalous.flatten(1, 2)

    def select(self, images: Tensor, members: range) -> Tensor:
        """The images of some members in a batch's images: [half, members*channels, size, size]."""
        streams = [self.stream_of[member] for member in members]
        if len(streams) == 1:
            return images[:, streams[0]]
        if streams != list(range(images.shape[1])):
            images = torch.stack([images[:, stream] for stream in streams], 1)
        return images.flatten(1, 2)

    def copy_(self, other: EpochBatches) -> None:
        """Copy another epoch's tables in place."""
        self.epoch = other.epoch
        for ours, theirs in zip(self.tables, other.tables, strict=True):
            ours.copy_(theirs)

    def _prepare(self, tables: list[Tensor]) -> tuple[Tensor, Tensor]:
        """tables: positions, rows, columns and transposition of one step, [half or 2*half, streams] each."""
        positions, rows, columns, transpose = tables
        batch = self.resample(self.images[positions], Transform(rows, columns, transpose))
        return batch[: self.half], batch[self.half :]
