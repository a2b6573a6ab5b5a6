"""How a pack's steps are executed: strategies that differ only in speed."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from adcore.detectors import Detector
from adcore.train.captured import Captured
from adcore.train.datamodule import EpochBatches
from adcore.train.pack import Execution, Pack

__all__ = ["Eager", "PackModule", "choose_strategy", "executed"]


class Eager:
    """Runs detector after detector, each operation as it is called: the strategies grouped and plain."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.rates: list[list[float]] = []

    def begin_epoch(self, batches: EpochBatches) -> None:
        self.batches, self.rates = batches, self.pack.rates(batches.epoch, len(batches)).tolist()

    def step(self, number: int) -> None:
        normal, anomalous = self.batches[number]
        for place, group in enumerate(self.pack.groups):
            for adam in self.pack.optimizers_of[place]:
                adam.set_rates(self.rates[number][group.start : group.stop])
            self.pack.step_of(place, self.batches.select(normal, group), self.batches.select(anomalous, group))


def choose_strategy(kind: type[Detector], device: torch.device) -> str:
    """The fastest strategy of a detector on a device."""
    if device.type == "cuda" and kind.capturable:
        return "captured"
    return "grouped" if kind.grouped else "plain"


def executed(pack: Pack) -> Execution:
    """The execution of the pack's steps, on its current device."""
    return Captured(pack) if pack.strategy == "captured" else Eager(pack)


class PackModule(pl.LightningModule):
    """A pack as Lightning's trainer takes it."""

    def __init__(self, pack: Pack) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.pack = pack

    def configure_optimizers(self) -> list[Optimizer]:
        return self.pack.make_optimizers()

    def training_step(self, number: int, _: int) -> None:
        self.pack.training_step(number)
