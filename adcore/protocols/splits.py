"""Which images of a data set are used to fit, to validate and to test.

The train part is split once into fit and validation images, stratified by class, by `split_seed`; in k-fold
cross-validation once for each fold. Counted protocols select the images of every part first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from adcore.errors import UserError
from adcore.protocols.definitions import FOLDS, MINIMUM_IMAGES, Exposure
from adcore.protocols.sampling import equal_shares
from adcore.random_streams import generator

__all__ = ["VALIDATION_SHARE", "Split", "cap_per_class", "require_every_class", "select", "split", "split_counted"]

#: Share of the train part that is kept for validation: 10,000 of Fashion-MNIST's 60,000.
VALIDATION_SHARE = 1 / 6


@dataclasses.dataclass(frozen=True)
class Split:
    """Positions in a data set's train part, int64; disjoint."""

    fit: Tensor
    validation: Tensor


def require_every_class(
    labels: Tensor,
    names: Sequence[str],
    *,
    at_least: int = MINIMUM_IMAGES,
    of: str = "the train part",
    only: int | None = None,
) -> None:
    """Raises UserError unless labels, int64 [n], hold `at_least` images of each named class, and no other class.

    The default is the minimum for a train part. of: what the labels belong to, for the message. only: the one class
    that needs images, None for each.
    """
    images = torch.bincount(labels, minlength=len(names)).tolist()
    if len(images) > len(names):
        raise UserError(f"the labels of {of} go up to {len(images) - 1}, expected 0 to {len(names) - 1}")
    for index, found in enumerate(images):
        if found < at_least and only in (None, index):
            name = "" if names[index] == str(index) else f" ({names[index]})"
            raise UserError(f"class {index}{name} of {of} has {found} images, expected at least {at_least}")


def split(
    labels: Tensor,
    *,
    split_seed: int,
    images_per_class: int | None = None,
    validation_images: int | None = None,
    fold: int | None = None,
    fitted: int | None = None,
) -> Split:
    """Fit and validation positions, stratified by class. labels: int64 [n] of the train part.

    images_per_class caps each class in both parts, validation_images the validation part as a whole; None: no cap.
    fold: which of FOLDS equal parts, 0..FOLDS-1, is validation; None: one part of VALIDATION_SHARE. fitted: the class
    that has fit images, of the others all are for validation; None: each has some.
    Raises UserError for fewer validation images than classes: AUROC needs one of each.
    """
    classes = labels.unique().tolist()
    if validation_images is not None and validation_images < len(classes):
        raise UserError(f"--validation-images {validation_images}: expected at least {len(classes)}, one of each class")
    fit: list[Tensor] = []
    validation: list[Tensor] = []
    for index in classes:
        own = (labels == index).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=generator(split_seed, index, "split"))]
        start, stop = _held_out(len(own), fold) if fitted in (None, index) else (0, len(own))
        validation.append(own[start:stop][:images_per_class])
        fit.append(torch.cat([own[:start], own[stop:]])[:images_per_class])
    sizes = [len(part) for part in validation]
    shares = equal_shares(min(validation_images or sum(sizes), sum(sizes)), sizes)
    kept = [part[:share] for part, share in zip(validation, shares, strict=True)]
    return Split(fit=torch.cat(fit).sort().values, validation=torch.cat(kept).sort().values)


def _held_out(count: int, fold: int | None) -> tuple[int, int]:
    """Where validation begins and ends among `count` images."""
    if fold is None:
        return 0, round(count * VALIDATION_SHARE)
    return round(count * fold / FOLDS), round(count * (fold + 1) / FOLDS)


def split_counted(
    labels: Tensor,
    exposure: Exposure,
    experiment: int,
    *,
    split_seed: int,
    images_per_class: int | None = None,
    validation_images: int | None = None,
    fold: int | None = None,
) -> Split:
    """Fit and validation positions of one experiment under a counted protocol. labels: int64 [n] of the train part.

    Like `split` on the selected images, but stratified by kind (normal, anomalous) instead of class; the caps are per
    kind, too. Without a fold, the first one is validation.
    """
    selected = select(labels, exposure, experiment, part="train", split_seed=split_seed)
    parts = split(
        exposure.anomalous(labels[selected], experiment).long(),
        split_seed=split_seed,
        images_per_class=images_per_class,
        validation_images=validation_images,
        fold=fold or 0,
    )
    return Split(fit=selected[parts.fit], validation=selected[parts.validation])


def select(
    labels: Tensor,
    exposure: Exposure,
    experiment: int,
    *,
    part: Literal["train", "test"],
    split_seed: int,
    images_per_class: int | None = None,
) -> Tensor:
    """Positions of a part's images that a counted protocol uses, ascending. labels: int64 [n] of the whole part.

    The protocol's number of images of each kind is drawn at random, the same for every training; all if there are
    fewer. images_per_class caps each kind. Raises ValueError for a protocol that is not counted.
    """
    if exposure.counts is None:
        raise ValueError(f"expected a counted protocol, got {exposure.protocol!r}")
    anomalous = exposure.anomalous(labels, experiment)
    stream = generator(split_seed, experiment, f"{part}-images")
    drawn: list[Tensor] = []
    for places, number in zip((~anomalous, anomalous), getattr(exposure.counts, part), strict=True):
        own = places.nonzero()[:, 0]
        drawn.append(own[torch.randperm(len(own), generator=stream)][:number][:images_per_class])
    return torch.cat(drawn).sort().values


def cap_per_class(labels: Tensor, images_per_class: int | None, *, drawn_by: int | None = None) -> Tensor:
    """Positions of at most so many images of each class of the test part, ascending; None: all. labels: int64 [n].

    drawn_by: a seed that draws them at random; None: the first of each class, in the data set's order.
    """
    kept: list[Tensor] = []
    for index in labels.unique().tolist():
        own = (labels == index).nonzero()[:, 0]
        if drawn_by is not None:
            own = own[torch.randperm(len(own), generator=generator(drawn_by, index, "test-images"))]
        kept.append(own[:images_per_class])
    return torch.cat(kept).sort().values
