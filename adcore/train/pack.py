"""A pack: the detectors of experiments that are trained side by side in one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adcore.config import TrainConfig
from adcore.detectors import DETECTORS, Detector
from adcore.detectors.base.optimisation import MemberAdam, learning_rates
from adcore.errors import UserError
from adcore.networks import IMAGE_SIZE
from adcore.random_streams import generator
from adcore.train.member_state import MemberState, join_states, split_state
from adcore.train.precision import DTYPES, autocast

if TYPE_CHECKING:  # it loads Lightning, which takes seconds and only training needs
    from adcore.train.datamodule import EpochBatches

__all__ = ["STRATEGIES", "Execution", "Pack"]

#: How steps are executed. grouped: members form one network of grouped convolutions, if the detector has one; plain:
#: one after another, the reference; captured: plain networks side by side in one CUDA graph. The results are the same.
STRATEGIES = ("grouped", "plain", "captured")
#: Settings of the optimisers, not of a detector.
OPTIMISATION = ("learning_rate", "schedule", "weight_decay")


class Execution(Protocol):
    """How a strategy executes the steps of a pack."""

    def begin_epoch(self, batches: EpochBatches) -> None:
        """To be called before an epoch's first step."""
        ...

    def step(self, number: int) -> None:
        """The step of all members; numbers count from 0 in each epoch."""
        ...


class Pack(nn.Module):
    """Experiments, the pack's members, each with its own networks, optimisers and schedule, trained in lock-step.

    members: one single-class configuration for each (adcore.train.members). strategy: one of STRATEGIES. groups: the
    positions of the members in each of `detectors`, in order. execution: executes training steps; to be set before the
    first. image_size: side of the images that the networks take. Every image is scored for every member.
    """

    execution: Execution

    def __init__(self, members: Sequence[TrainConfig], channels: int, *, strategy: str) -> None:
        super().__init__()
        self.members = tuple(members)
        self.kind = DETECTORS[members[0].detector]
        self.strategy = strategy if strategy != "captured" or self.kind.capturable else "plain"
        self.groups = _groups(len(members), together=strategy == "grouped" and self.kind.grouped)
        self.detectors = nn.ModuleList([self._detector([members[m] for m in group], channels) for group in self.groups])
        self.image_size = members[0].image_size
        self.to(self.dtype)
        if self.strategy == "captured":
            self.to(memory_format=torch.channels_last)
        self.optimizers_of: list[list[MemberAdam]] = []
        self.loss_sums: list[dict[str, Tensor]] = [{} for _ in self.groups]

    @property
    def device(self) -> torch.device:
        """Where its networks are; the CPU if they have no weights."""
        return next((weights.device for weights in self.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return DTYPES[self.members[0].precision]

    def score(self, images: Tensor) -> Tensor:
        """Anomaly scores, higher is more anomalous, in eval mode: [batch, members].

        images: [batch, channels, size, size] in [-1, 1], the same for every member.
        """
        return torch.cat([detector.score(images) for detector in self], 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions in [-1, 1], [batch, members, channels, size, size], in eval mode. images: as for `score`."""
        return torch.cat([detector.reconstruct(images) for detector in self], 1)

    def scores_by_name(self, images: Tensor) -> dict[str, Tensor]:
        """Scores for threshold rules, by name, [batch, members] each, in eval mode. images: as for `score`."""
        parts = [detector.scores_by_name(images) for detector in self]
        return {name: torch.cat([scores[name] for scores in parts], 1) for name in parts[0]}

    def __iter__(self) -> Iterator[Detector]:
        return iter(self.detectors)  # type: ignore[arg-type] (a ModuleList's items count as Module)

    def make_optimizers(self) -> list[Optimizer]:
        """Make the Adams of every detector, on its current device."""
        self.optimizers_of = [self._adams(detector, group) for detector, group in zip(self, self.groups, strict=True)]
        return [adam.optimizer for adams in self.optimizers_of for adam in adams]

    def rates(self, epoch: int, steps_per_epoch: int) -> Tensor:
        """Learning rates of an epoch's steps, by member: float64 [steps, members]."""
        steps = range(epoch * steps_per_epoch, (epoch + 1) * steps_per_epoch)
        length = {"steps_per_epoch": steps_per_epoch, "epochs": self.members[0].epochs}
        rates = [
            learning_rates(config.schedule, config.learning_rate, steps=steps, **length) for config in self.members
        ]
        return torch.stack(rates, 1)

    def begin_epoch(self, batches: EpochBatches) -> None:
        """To be called before an epoch's first step."""
        for total in (total for sums in self.loss_sums for total in sums.values()):
            total.zero_()
        self.execution.begin_epoch(batches)
        for detector, group in zip(self, self.groups, strict=True):
            detector.begin_epoch(batches.epoch, lambda group=group: batches.of(group))

    def finish_epoch(self, batches: EpochBatches) -> None:
        """To be called after an epoch's last step, before scoring."""
        for detector, group in zip(self, self.groups, strict=True):
            detector.finish_epoch(lambda group=group: batches.of(group))

    def training_step(self, number: int) -> None:
        """The step of all members; numbers count from 0 in each epoch."""
        self.execution.step(number)

    def step_of(self, place: int, normal: Tensor, anomalous: Tensor) -> None:
        """A training step of the detector at `place` of `detectors`. Images: as Detector.step takes them."""
        detector = self.detectors[place]
        assert isinstance(detector, Detector)
        with autocast(self.members[0].precision, normal.device):
            terms = detector.step(normal, anomalous, self.optimizers_of[place])
        sums = self.loss_sums[place]
        for name, value in terms.items():
            if name in sums:
                sums[name] += value.detach()
            else:
                sums[name] = value.detach().clone()

    def losses(self) -> dict[str, Tensor]:
        """The sum of each loss over the steps since the epoch began, by name: [members] each."""
        return {name: torch.cat([sums[name] for sums in self.loss_sums]) for name in self.loss_sums[0]}

    def states(self) -> list[tuple[dict[str, Any], list[list[dict[str, Tensor]]]]]:
        """Networks and optimisers of each member, as a detector and its Adams alone would have them.

        Copies on the CPU.
        """
        states: list[tuple[dict[str, Any], list[list[dict[str, Tensor]]]]] = []
        for place, detector in enumerate(self):
            adams = self.optimizers_of[place] if self.optimizers_of else []
            for member, networks in enumerate(split_state(detector.state_dict(), detector.members)):
                states.append((networks, [adam.state(member) for adam in adams]))
        return states

    def load(self, states: Sequence[MemberState]) -> None:
        """Load each member's networks, and its optimisers' state if there are optimisers.

        Raises RuntimeError, KeyError, TypeError or ValueError for states of other networks.
        """
        for place, (detector, group) in enumerate(zip(self, self.groups, strict=True)):
            detector.load_state_dict(join_states([states[member].networks for member in group]))
            for number, adam in enumerate(self.optimizers_of[place] if self.optimizers_of else []):
                for position, member in enumerate(group):
                    adam.load(position, states[member].optimizers[number])

    def end_training(self) -> None:
        """Release what only training needs: a captured step and the optimisers hold memory."""
        del self.execution
        self.optimizers_of, self.loss_sums = [], [{} for _ in self.groups]

    def _detector(self, members: Sequence[TrainConfig], channels: int) -> Detector:
        if members[0].image_size != IMAGE_SIZE and "image_size" not in self.kind.config_fields:
            raise UserError(f"--image-size {members[0].image_size}: this detector takes only {IMAGE_SIZE}")
        settings = {name: getattr(members[0], name) for name in self.kind.config_fields if name not in OPTIMISATION}
        settings |= {name: [getattr(config, name) for config in members] for name in self.kind.by_member}
        generators = [generator(config.train_seed, config.classes[0], "init") for config in members]
        return cast(Any, self.kind)(channels=channels, generators=generators, **settings)

    def _adams(self, detector: Detector, group: range) -> list[MemberAdam]:
        decays = "weight_decay" in self.kind.config_fields
        weight_decay = [self.members[member].weight_decay if decays else 0.0 for member in group]
        kept = {"betas": self.kind.betas, "weight_decay": weight_decay, "on_device": self.strategy == "captured"}
        return [MemberAdam(parameters, **kept) for parameters in detector.optimised()]


def _groups(members: int, *, together: bool) -> list[range]:
    """The positions of the members that each detector holds."""
    return [range(members)] if together else [range(member, member + 1) for member in range(members)]
