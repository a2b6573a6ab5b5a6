"""State of an experiment in training: its history, its networks and its optimisers' state."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from adcore.config import TrainConfig
from adcore.datasets import DatasetInfo, describe

__all__ = ["WATCHED", "MemberState", "join_states", "split_state"]

#: The validation metric that says whether training goes well: the second if there are no anomalies to validate on.
WATCHED = frozenset({"val_auroc", "val_normal_score"})


@dataclasses.dataclass
class MemberState:
    """One member of a pack, between two epochs.

    config: of a single class. history: each epoch's metrics by name, without the class. watched: the quantity that
    early stopping minimises, after each epoch; empty if no member has patience. decision: from
    adcore.thresholds.decision_rule on the validation images of the last epoch; empty before the first, if the model
    diverged, and in files of versions without it. networks: state dict of its detector. optimizers: for each Adam, the
    state of each parameter. Both are from the last epoch at which they were kept, on the CPU; empty before the first.
    content: the hash of the train part, "" if not known. info: facts about the data, None for those of a published set.
    """

    config: TrainConfig
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    watched: list[float] = dataclasses.field(default_factory=list)
    decision: dict[str, Any] = dataclasses.field(default_factory=dict)
    networks: dict[str, Any] = dataclasses.field(default_factory=dict)
    optimizers: list[list[dict[str, Tensor]]] = dataclasses.field(default_factory=list)
    content: str = ""
    info: DatasetInfo | None = None

    @property
    def data_info(self) -> DatasetInfo:
        """Facts about the data that it was trained on, as they were then."""
        return self.info or describe(self.config.dataset)

    @property
    def epoch(self) -> int:
        """Number of epochs trained."""
        return len(self.history)

    @property
    def diverged(self) -> bool:
        """Whether a loss or a score of the last epoch was NaN or infinite."""
        return bool(self.history) and not all(map(math.isfinite, self.goodness))

    @property
    def goodness(self) -> list[float]:
        """The last epoch's WATCHED metrics, as numbers that are higher for a better model: one, in fact."""
        last = self.history[-1]
        return [last[name] if name == "val_auroc" else -last[name] for name in WATCHED & set(last)]

    @property
    def stopped(self) -> bool:
        """Whether early stopping has ended it: `patience` epochs without a better value; NaN is never better."""
        if self.config.patience is None or not self.watched:
            return False
        finite = [value if math.isfinite(value) else math.inf for value in self.watched]
        best = finite.index(min(finite)) if min(finite) < math.inf else -1
        return len(finite) - 1 - best >= self.config.patience

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.diverged or self.stopped or self.epoch == self.config.epochs


def split_state(state: Mapping[str, Any], members: int) -> list[dict[str, Any]]:
    """Each member's part of a detector's state dict, as it would have it alone: copies on the CPU.

    Member m owns the m-th of equal parts of dimension 0 of each tensor; counters, which have none, are shared.
    """
    if members == 1:
        return [{name: _copy(value) for name, value in state.items()}]
    parts = {name: value.chunk(members) if value.dim() else [value] * members for name, value in state.items()}
    return [{name: _copy(part[member]) for name, part in parts.items()} for member in range(members)]


def _copy(value: Any) -> Any:
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value


def join_states(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The state dict of a detector that holds these members. Raises KeyError for one that lacks a part."""
    if len(states) == 1:
        return dict(states[0])
    parts = {name: [state[name] for state in states] for name in states[0]}
    return {name: torch.cat(part) if part[0].dim() else part[0] for name, part in parts.items()}
