"""How far an epoch is: counted while it trains, and shown as a bar below the lines of finished epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from adcore.system.status_bar import StatusBar
from adcore.train.datamodule import AnomalyDetectionDataModule
from adcore.train.member_state import MemberState

__all__ = ["OnStep", "StepCounter", "epoch_bar"]

#: Called with the epoch, from 1, its images trained so far, and how many it has, of all experiments together.
OnStep = Callable[[int, int, int], object]
#: Seconds between two calls within an epoch.
PERIOD = 0.1


class StepCounter(pl.Callback):
    """Tells `on_step` when an epoch begins, at most every PERIOD seconds while it trains, and after its last step.

    It counts the steps that were started: nothing waits for the device. states: the members of the pack; every: all
    members of the training, of which others may wait for their turn.
    """

    def __init__(
        self,
        states: Sequence[MemberState],
        every: Sequence[MemberState],
        module: AnomalyDetectionDataModule,
        on_step: OnStep,
    ) -> None:
        self.states, self.every, self.module, self.on_step = states, every, module, on_step
        self.due = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epoch, images = self.states[0].epoch, self.module.images_per_member
        done = sum(state.epoch > self.epoch for state in self.every)
        waiting = sum(state.epoch <= self.epoch and not state.finished for state in self.every)
        self.before, self.images = done * images, (done + waiting) * images
        self._tell(0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        steps = batch_idx + 1
        if time.monotonic() >= self.due or steps == self.module.steps_per_epoch:
            self._tell(steps)

    def _tell(self, steps: int) -> None:
        self.due = time.monotonic() + PERIOD
        trained = steps * self.module.images_per_member // self.module.steps_per_epoch * len(self.states)
        self.on_step(self.epoch + 1, self.before + trained, self.images)


@contextmanager
def epoch_bar(epochs: int) -> Generator[tuple[OnStep | None, Callable[[str], None]]]:
    """Yield what shows a step in a bar on standard output, and what prints a line above it.

    Where standard output is no terminal, there is no bar: the first is None. epochs: of the whole training.
    """
    console = Console()
    if not console.is_terminal:
        yield None, click.echo
        return
    columns = TextColumn("{task.description}"), BarColumn()
    with StatusBar(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task, pace = bar.add_task("preparing", total=None), _Pace(epochs)

        def show(epoch: int, images: int, of: int) -> None:
            bar.status = pace.status(epoch, images, of, time.monotonic())
            bar.update(task, description=f"epoch {epoch} of {epochs}", completed=images, total=of)

        yield show, partial(console.print, highlight=False, markup=False, soft_wrap=True)


class _Pace:
    """Speed within the epoch, and the time that all epochs still take at the pace so far, validation included."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.epoch = epochs, 0
        self.first: tuple[float, int] | None = None  # when the first step was shown, and the images before it

    def status(self, epoch: int, images: int, of: int, now: float) -> str:
        """Images, speed and time left, in words. now: in seconds."""
        done = (epoch - 1) * of + images
        if epoch != self.epoch:
            self.epoch, self.began, self.images = epoch, now, images
        began, before = self.first = self.first or (now, done)
        parts = [f"{images} of {of} images"]
        if images > self.images and now > self.began:
            parts.append(f"{(images - self.images) / (now - self.began):.0f} images/s")
        if done > before and now > began:
            left = (now - began) / (done - before) * (self.epochs * of - done)
            parts.append(f"at most {left / 60:.0f} min left" if left >= 90 else f"at most {left:.0f} s left")
        return " | ".join(parts)
