"""The split and the device of a training, and the networks in its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adcore.config import TrainConfig
from adcore.errors import UserError
from adcore.protocols.definitions import HELD_OUT
from adcore.protocols.splits import Split, split, split_counted
from adcore.train import checkpoints
from adcore.train.member_state import MemberState
from adcore.train.members import one_configuration

if TYPE_CHECKING:
    from adcore.train.pack import Pack

__all__ = ["load_detector", "load_states", "scoring_strategy", "split_train", "training_device"]


def split_train(config: TrainConfig, labels: Tensor) -> Split:
    """Positions of config's fit and validation images. labels: int64 [n] of the train part.

    Raises UserError for fewer validation images than AUROC needs.
    """
    names = ("split_seed", "images_per_class", "validation_images", "fold")
    settings = {name: getattr(config, name) for name in names}
    if config.exposure.counts:
        return split_counted(labels, config.exposure, config.classes[0], **settings)
    fitted = config.classes[0] if config.protocol == HELD_OUT else None
    return split(labels, **settings, fitted=fitted)


def load_detector(place: Path | Sequence[Path], channels: int) -> tuple[TrainConfig, Pack]:
    """Load a configuration and its trained detector from checkpoint files; members in the files' order, on the CPU.

    Raises UserError if a file is not a checkpoint, or if they are of several configurations.
    """
    from adcore.train.pack import Pack  # with the detectors, which load scikit-learn

    paths = [place] if isinstance(place, Path) else list(place)
    states = [state for path in paths for state in checkpoints.read(path)]
    config = one_configuration([state.config for state in states])
    pack = Pack([state.config for state in states], channels, strategy=scoring_strategy())
    load_states(pack, states, ", ".join(map(str, paths)))
    return config, pack


def training_device(precision: str) -> torch.device:
    """The fastest device available for a precision: Apple's GPUs have no float64."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    has_mps = torch.backends.mps.is_available() and precision != "64-true"
    return torch.device("mps" if has_mps else "cpu")


def scoring_strategy() -> str:
    """The strategy of a pack that only scores: grouped convolutions are slow on a GPU."""
    return "plain" if torch.cuda.is_available() else "grouped"


def load_states(pack: Pack, states: Sequence[MemberState], source: str) -> None:
    """Load each member's networks. Raises UserError if they do not fit the pack; source: where they come from.

    What is wrong with the device, such as too little memory, is raised as it is.
    """
    try:
        pack.load(states)
    except (RuntimeError, AttributeError, LookupError, TypeError, ValueError) as error:  # other names, shapes or kinds
        if isinstance(error, torch.OutOfMemoryError) or "CUDA" in str(error):
            raise
        name = pack.kind.__name__
        raise UserError(f"{source}: weights of another network than this version's {name}; move it away") from error
