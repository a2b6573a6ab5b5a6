"""The training of members, in as many runs of Lightning's trainer as needed: each run trains one fixed pack."""

from __future__ import annotations

import dataclasses
import gc
import logging
import signal
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from adcore.datasets import ImageDataset
from adcore.detectors import DETECTORS
from adcore.errors import unknown_name
from adcore.train.build import load_states, scoring_strategy, split_train, training_device
from adcore.train.checkpoints import Checkpoints
from adcore.train.epoch_end import EpochEnd, Validation
from adcore.train.execution import PackModule, choose_strategy
from adcore.train.image_streams import data_module
from adcore.train.member_state import MemberState
from adcore.train.pack import STRATEGIES, Pack
from adcore.train.progress import OnStep, StepCounter
from adcore.train.reports import Reports

__all__ = ["fit_members"]

logger = logging.getLogger(__name__)


def fit_members(
    states: Sequence[MemberState],
    reports: Reports,
    *,
    data: ImageDataset,
    checkpoints: Checkpoints | None,
    strategy: str,
    until: int,
    side_by_side: int,
    on_step: OnStep | None = None,
) -> tuple[list[Callable[[], Pack]], int]:
    """Train every member to epoch `until`, or to its earlier end, at most `side_by_side` at a time.

    Returns, for each configuration, a function that makes a pack of its members, and a member's images per epoch.
    Members at different epochs are not mixed: those that are behind train first, until they catch up.
    """
    _quiet_lightning()
    fitting = _Fitting(states, reports, data, checkpoints, strategy, until, side_by_side, on_step)
    while fitting.under_way:
        fitting.run(*fitting.next_run())
    if not fitting.trained:  # all came from checkpoints: check that their networks fit this version
        packs = [fitting.pack_of(own) for own in reports.states]
        return [lambda pack=pack: pack for pack in packs], fitting.images_per_member
    return [partial(fitting.pack_of, own) for own in reports.states], fitting.images_per_member


@dataclasses.dataclass(eq=False)
class _Fitting:
    """Makes one run after another. largest: members at a time, fewer once memory has run out.

    trained: the last run's pack and its members. images: that pass a member's networks in an epoch, once it has run.
    """

    states: Sequence[MemberState]
    reports: Reports
    data: ImageDataset
    checkpoints: Checkpoints | None
    strategy: str
    until: int
    largest: int
    on_step: OnStep | None = None
    trained: tuple[Pack, list[MemberState]] | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        self.device = training_device(self.states[0].config.precision)
        if self.strategy not in ("auto", *STRATEGIES):
            raise unknown_name("strategy", self.strategy, ("auto", *STRATEGIES))

    @property
    def images_per_member(self) -> int:
        """Images that pass a member's networks in an epoch, the same for all members."""
        if self.images is not None:
            return self.images
        return data_module(self.data, [self.states[0].config], self.until).images_per_member

    @property
    def under_way(self) -> list[MemberState]:
        """The members with epochs left to train."""
        return [state for state in self.states if not state.finished and state.epoch < self.until]

    def next_run(self) -> tuple[list[MemberState], int]:
        """The members to train next, all at one epoch, and the epoch to train them to."""
        under_way = self.under_way
        epoch = min(state.epoch for state in under_way)
        behind = [state for state in under_way if state.epoch == epoch]
        if len(behind) > self.largest:  # in turns, epoch by epoch: a report needs all of them
            return behind[: self.largest], epoch + 1
        later = [state.epoch for state in under_way if state.epoch > epoch]
        return behind, min(later, default=self.until)

    def run(self, states: list[MemberState], until: int) -> None:
        """Train these members side by side to `until`, or until one of them has ended.

        If memory runs out in the first epoch, half as many train side by side from then on.
        """
        began = states[0].epoch
        try:
            self._run(states, until)
        except torch.OutOfMemoryError:
            if len(states) == 1 or states[0].epoch > began:
                raise
            self.largest = (len(states) + 1) // 2
            logger.warning(
                "out of GPU memory with %d experiments side by side: continuing with %d", len(states), self.largest
            )
        if self.device.type == "cuda":
            gc.collect()  # a captured step and its pack refer to each other: nothing else frees their memory
            torch.cuda.empty_cache()

    def _run(self, states: list[MemberState], until: int) -> None:
        self.trained = None  # before the next pack is made: memory suffices for one
        members = [state.config for state in states]
        kind = DETECTORS[members[0].detector]
        pack = Pack(members, self.data.channels, strategy=self._strategy(choose_strategy(kind, self.device)))
        module = data_module(self.data, members, until)
        self.images = module.images_per_member
        epoch_end = EpochEnd(
            pack,
            states,
            self._validation(states),
            module,
            until=until,
            on_start=lambda pack: load_states(pack, states, self._files()) if states[0].epoch else None,
            on_epoch=self._on_epoch(states),
        )
        counter = [StepCounter(states, self.states, module, self.on_step)] if self.on_step else []
        _fit(pack, module, [epoch_end, *counter], until - states[0].epoch, self.device)
        self.trained = pack, states
        self._keep(pack, states)
        pack.end_training()

    def pack_of(self, states: Sequence[MemberState]) -> Pack:
        """The members in one pack for scoring, on the training device."""
        if self.trained and [id(state) for state in self.trained[1]] == [id(state) for state in states]:
            return self.trained[0].to(self.device)  # Lightning leaves it on the CPU, where scoring would take minutes
        pack = Pack([state.config for state in states], self.data.channels, strategy=scoring_strategy())
        load_states(pack, states, self._files())
        return pack.to(self.device)

    def _strategy(self, fastest: str) -> str:
        return fastest if self.strategy == "auto" else self.strategy

    def _files(self) -> str:
        return ", ".join(map(str, self.checkpoints.paths())) if self.checkpoints else "in memory"

    def _on_epoch(self, states: list[MemberState]) -> Callable[[Pack, bool], None]:
        def on_epoch(pack: Pack, stops: bool) -> None:
            if self.checkpoints and (stops or self.checkpoints.due()):
                # before the report: a trial that is stopped there loses nothing
                self._keep(pack, states)
                self.checkpoints.save(self.states)
            self.reports.catch_up()

        return on_epoch

    def _keep(self, pack: Pack, states: Sequence[MemberState]) -> None:
        for state, (networks, optimizers) in zip(states, pack.states(), strict=True):
            state.networks, state.optimizers = networks, optimizers

    def _validation(self, states: Sequence[MemberState]) -> list[Validation]:
        """Each member's validation images; one object for members that share a split."""
        by_seed: dict[int, Validation] = {}
        for config in (state.config for state in states):
            if config.split_seed not in by_seed:
                places = split_train(config, self.data.labels).validation
                by_seed[config.split_seed] = self.data.images[places], self.data.labels[places]
        return [by_seed[state.config.split_seed] for state in states]


def _fit(
    pack: Pack, module: pl.LightningDataModule, callbacks: list[pl.Callback], epochs: int, device: torch.device
) -> None:
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator=device.type,
        devices=1,
        precision="64-true" if pack.dtype == torch.float64 else "32-true",  # the pack handles mixed precision itself
        callbacks=callbacks,
        # one process, even if a launcher's variables are set: Lightning would use them
        plugins=[LightningEnvironment()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(PackModule(pack), datamodule=module)
    except SystemExit as ended:
        # on an interrupt Lightning ignores SIGINT from then on and exits with code 1
        if isinstance(ended.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt from None
        raise


def _quiet_lightning() -> None:
    """Silence Lightning's start-up lines and advice, which are about settings that the caller did not choose."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for module in ("pytorch_lightning", "lightning_fabric"):  # the second advises `srun` where SLURM is installed
        warnings.filterwarnings("ignore", module=module)
