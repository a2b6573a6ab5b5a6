"""The parts of a data set under protocol held-out: anomalies of the test part are set apart for validation.

For data whose train part has no anomalies. They are chosen by their pixels: the same on every machine, whatever the
files are called, and a new image moves few others.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import torch
from torch import Tensor

from adcore.datasets import ImageDataset, Part, load
from adcore.errors import UserError
from adcore.protocols.definitions import HELD_OUT

__all__ = ["load_part"]

WITHOUT = (
    "no anomalies in the training part: training has no AUROC; a sweep validates on half of the test part's anomalies"
)


def load_part(name: str, part: Part, protocol: str, **source: Any) -> ImageDataset:
    """A part of a data set as it is used under a protocol; source: as for adcore.datasets.load.

    Under held-out, half of each anomaly class of the test part (rounded down) is in the train part instead, where
    adcore.train.build.split_train takes it for validation alone. Raises UserError if that leaves no anomaly to validate
    on, for images of another size in the test part, and what `load` raises.
    """
    found = load(name, part, **source)
    if protocol != HELD_OUT:
        return found if part == "test" or found.info.has_anomalies else _noted(found, WITHOUT)
    test = found if part == "test" else load(name, "test", **source)
    taken = _held_out(test)
    if not taken.any():
        raise UserError(
            f"--protocol {HELD_OUT}: {name} has no two anomalies of a class in its test part, one for validation and "
            "one for the test; add some, or train without AUROC: python -m adcore.train"
        )
    if part == "test":
        return _with(found, found.images[~taken], found.labels[~taken])
    _require_one_size(found, test)
    rest = int((test.labels != test.info.normal_class).sum() - taken.sum())
    note = (
        f"no anomalies to train on: {int(taken.sum())} of the test part's anomalies, chosen by their pixels, "
        f"are validation images; the test part keeps {rest}, so its figures are not those of the whole test part"
    )
    whole = _with(found, torch.cat([found.images, test.images[taken]]), torch.cat([found.labels, test.labels[taken]]))
    return _noted(whole, note)


def _require_one_size(train: ImageDataset, test: ImageDataset) -> None:
    sides = [part.images.shape[-1] for part in (train, test)]
    if sides[0] != sides[1]:  # small squares of arrays are kept as they are
        raise UserError(
            f"--protocol {HELD_OUT}: {train.name} has images of {sides[0]} pixels a side in its train part and of "
            f"{sides[1]} in its test part, half of whose anomalies are for validation; expected one size"
        )


def _noted(data: ImageDataset, note: str) -> ImageDataset:
    return dataclasses.replace(data, notes=(*data.notes, f"{data.name}: {note}"))


def _held_out(test: ImageDataset) -> Tensor:
    """Which images of the test part are for validation, bool [n]."""

    def digest(place: int) -> bytes:
        return hashlib.sha256(test.images[place].numpy().tobytes()).digest()

    taken = torch.zeros(len(test.labels), dtype=torch.bool)
    for index in range(len(test.class_names)):
        places: list[int] = (test.labels == index).nonzero()[:, 0].tolist()
        if index != test.info.normal_class:
            taken[sorted(places, key=digest)[: len(places) // 2]] = True
    return taken


def _with(data: ImageDataset, images: Tensor, labels: Tensor) -> ImageDataset:
    """The part with these images in place of its own. images: uint8 [n, channels, side, side]; labels: int64 [n]."""
    content = images.numpy().tobytes() + labels.byte().numpy().tobytes()
    return dataclasses.replace(data, images=images, labels=labels, content_hash=hashlib.sha256(content).hexdigest())
