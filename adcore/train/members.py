"""Members of a pack: experiments that are trained side by side, and what they must have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from adcore.config import TrainConfig
from adcore.errors import UserError
from adcore.options import flag_of

__all__ = ["SHARED", "check_members", "members_of", "one_configuration"]

#: The fields of TrainConfig that decide shapes or the length of a training: equal for all members of a pack.
SHARED = (
    "dataset", "image_size", "images_per_class", "validation_images", "protocol", "pseudo_anomalies", "fold",
    "detector", "width", "norm", "latent_size", "patch_size", "average_weights", "epochs", "batch_size", "precision",
)  # fmt: skip


def members_of(configs: Sequence[TrainConfig]) -> list[TrainConfig]:
    """One configuration of a single class for each experiment of `configs`, in their order."""
    return [dataclasses.replace(config, classes=(index,)) for config in configs for index in config.classes]


def check_members(members: Sequence[TrainConfig]) -> None:
    """Raises UserError for members that cannot be trained side by side, naming the field in which they differ."""
    if not members:
        raise UserError("no configuration to train, expected at least one")
    first = members[0]
    # under a counted protocol each class has its own images, and its own number of them
    names = (*SHARED, "classes", "split_seed") if first.exposure.counts else SHARED
    for name in names:
        values = {getattr(member, name): None for member in members}
        if len(values) > 1:
            listed = ", ".join(map(str, values))
            raise UserError(f"{flag_of(name)} {listed}: expected one value for all configurations trained together")


def one_configuration(members: Sequence[TrainConfig]) -> TrainConfig:
    """The configuration whose experiments these are. Raises UserError if they differ in more than the class."""
    if not members:
        raise UserError("no checkpoint, expected at least one")
    for name in (field.name for field in dataclasses.fields(TrainConfig) if field.name != "classes"):
        if len({getattr(member, name) for member in members}) > 1:
            raise UserError(f"models of several configurations, which differ in {name}; expected one configuration")
    return dataclasses.replace(members[0], classes=tuple(index for member in members for index in member.classes))
