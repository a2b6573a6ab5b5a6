"""The interface of a detector for training and scoring."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from adcore.detectors.base.optimisation import MemberAdam

__all__ = ["Batches", "Detector", "full"]

#: Iterates over an epoch's training batches again: normal and anomalous, [half, members*channels, size, size] each.
Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]


class Detector(nn.Module):
    """The networks of one or more experiments, its members, and a training step for them.

    Constructor arguments, by keyword: channels, generators (one CPU random generator per member, the source of all its
    random numbers) and its `config_fields` except learning_rate, schedule and weight_decay, which go to its optimisers.
    A grouped detector takes its `by_member` fields as sequences; its other fields are the same for all members.

    config_fields: names of the TrainConfig attributes that it takes. search: the range of each that a search varies, on
    a log scale. has_normal_loss: whether it has `normal_loss`; if not, early stopping watches validation AUROC.
    reconstructs: whether it has `reconstruct`. has_named_scores: whether it has `scores_by_name`. grouped: whether
    members can form one network of grouped convolutions; if not, each is a detector of its own. capturable: whether a
    step can be captured as a CUDA graph: nothing in it is drawn or counted on the CPU, because a replay would repeat
    the captured value.
    """

    config_fields: ClassVar[tuple[str, ...]] = ()
    by_member: ClassVar[tuple[str, ...]] = ()
    search: ClassVar[Mapping[str, tuple[float, float]]] = {}
    has_normal_loss: ClassVar[bool] = False
    reconstructs: ClassVar[bool] = False
    has_named_scores: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    capturable: ClassVar[bool] = False
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.seeds = [generator.initial_seed() for generator in generators]

    @property
    def members(self) -> int:
        """Number of experiments in this detector."""
        return len(self.seeds)

    def optimised(self) -> list[list[nn.Parameter]]:
        """The parameters of each Adam, in the order in which `step` uses them."""
        parameters = list(self.parameters())
        return [parameters] if parameters else []

    def step(self, normal: Tensor, anomalous: Tensor, optimizers: Sequence[MemberAdam]) -> dict[str, Tensor]:
        """One training step. Returns its losses by name, [members] each.

        normal, anomalous: images, [half, members*channels, size, size] in [-1, 1]; the second may be empty.
        """
        raise NotImplementedError

    def score(self, images: Tensor) -> Tensor:
        """Anomaly scores, higher is more anomalous, in eval mode.

        images: [batch, channels, size, size] in [-1, 1], the same for every member. Returns [batch, members].
        """
        raise NotImplementedError

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions in [-1, 1], [batch, members, channels, size, size], in eval mode. images: as for `score`."""
        raise NotImplementedError

    def normal_loss(self, images: Tensor) -> Tensor:
        """The training loss of each image as a normal one, which early stopping watches; in eval mode.

        images: as for `score`. Returns [batch, members].
        """
        raise NotImplementedError

    def scores_by_name(self, images: Tensor) -> dict[str, Tensor]:
        """Scores for threshold rules, by name, [batch, members] each, in eval mode. images: as for `score`."""
        raise NotImplementedError

    def begin_epoch(self, epoch: int, batches: Batches) -> None:
        """Called before an epoch's first step; epochs count from 0."""

    def finish_epoch(self, batches: Batches) -> None:
        """Called after an epoch's last step, before scoring."""

    @contextmanager
    def evaluating(self) -> Generator[None]:
        """Eval mode without gradients; the previous mode is restored at the end."""
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(was_training)


def full(values: Tensor) -> Tensor:
    """At least float32: networks may compute in bfloat16, losses do not."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
