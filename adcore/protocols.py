"""What an experiment is: which images are normal, which anomalous, and what may be looked at when.

The data set's train part is split once into fit and validation images, stratified by class, by `split_seed`; in k-fold
cross-validation once for each fold. In one-vs-rest experiment i class i is normal and the others are anomalies, or the
other way round; how many of them training sees is its exposure. Only the fit images of anomalies are drawn down;
validation and test keep every class as it is. Counted protocols are apart: they select images of every part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from adcore.errors import UserError
from adcore.exposure import Exposure, known_anomalies
from adcore.sampling import cluster, draw_by_cluster, draw_random, equal_shares
from adcore.streams import generator

__all__ = [
    "FOLDS",
    "VALIDATION_SHARE",
    "Experiment",
    "Split",
    "cap_per_class",
    "one_vs_rest",
    "require_every_class",
    "select",
    "split",
    "split_counted",
]

#: Share of the train part that is kept for validation: 10,000 of Fashion-MNIST's 60,000.
VALIDATION_SHARE = 1 / 6
#: Parts of the train part that are validation in turn, in k-fold cross-validation.
FOLDS = 5
#: The exposure of the paper: balanced anomalies of all classes.
EVERY_ANOMALY = Exposure()
#: Images of a class that a train part must have: some for validation, some to fit.
MINIMUM_IMAGES = 12


@dataclasses.dataclass(frozen=True)
class Split:
    """Positions in a data set's train part, int64; disjoint."""

    fit: Tensor
    validation: Tensor


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Positions in the train part of the images that one experiment is fitted on, int64 [n] each.

    normal: images that training takes as normal, polluted ones among them. anomalous: as many, with repetitions where
    fewer are labelled; empty without labelled anomalies. normal_class: the class that the experiment is named by.
    """

    normal_class: int
    normal: Tensor
    anomalous: Tensor


def require_every_class(labels: Tensor, count: int) -> None:
    """Raises UserError unless labels, int64 [n] of a train part, hold enough images of each of `count` classes."""
    if int(labels.max()) >= count:
        raise UserError(f"the data set's labels go up to {int(labels.max())}, expected 0 to {count - 1}")
    for index, images in enumerate(torch.bincount(labels, minlength=count).tolist()):
        if images < MINIMUM_IMAGES:
            raise UserError(f"class {index} of the data set has {images} images, expected at least {MINIMUM_IMAGES}")


def split(
    labels: Tensor,
    *,
    split_seed: int,
    images_per_class: int | None = None,
    validation_images: int | None = None,
    fold: int | None = None,
) -> Split:
    """Fit and validation positions, stratified by class. labels: int64 [n] of the train part.

    images_per_class caps each class in both parts, validation_images the validation part as a whole; None: no cap.
    fold: which of FOLDS equal parts, 0..FOLDS-1, is validation; None: one part of VALIDATION_SHARE.
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
        start, stop = _held_out(len(own), fold)
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

    As `split`, of the selected images, stratified by kind, normal and anomalous, which take the place of the classes in
    the caps too. Without a fold the first one is validation.
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
    """Positions of a part's images that a counted protocol takes, ascending. labels: int64 [n] of the whole part.

    Of either kind the protocol's number is drawn at random, whatever the training; all where there are no more.
    images_per_class caps each kind. Raises ValueError for a protocol that is not counted.
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


def cap_per_class(labels: Tensor, images_per_class: int | None) -> Tensor:
    """Positions of the first images of each class, in the data set's order. labels: int64 [n]; None: all of them."""
    kept = [(labels == index).nonzero()[:images_per_class, 0] for index in labels.unique()]
    return torch.cat(kept).sort().values


def one_vs_rest(
    images: Tensor,
    labels: Tensor,
    fit: Tensor,
    *,
    classes: tuple[int, ...],
    sampling: str,
    clusters: int,
    train_seed: int,
    split_seed: int,
    content_hash: str,
    exposure: Exposure = EVERY_ANOMALY,
) -> Callable[[int], list[Experiment]]:
    """What draws one experiment per class in `classes`, all of one size, that of the smallest normal part there is.

    It is the smallest class of the fit images; under leave-one-out, all but the largest class; under a counted
    protocol, whose fit images are selected for one experiment, the class of that one.

    images: uint8 [n, channels, height, width], labels: int64 [n], of the train part; fit: positions in it.
    sampling: "kmeans" or "random". Returns draw(epoch): which images of a kind are taken where there are too many, and
    their order, is another draw in each epoch; polluting images stay the same. Raises UserError if pollution leaves no
    image of the known anomalies to be labelled.
    """
    own = labels[fit]
    sizes = torch.bincount(own)
    named = classes if exposure.counts else own.unique().tolist()
    count = min(int((~exposure.anomalous(own, index)).sum()) for index in named)
    groups = None
    if sampling == "kmeans" and exposure.has_anomalies:
        groups = cluster(images[fit], own, clusters=clusters, seed=split_seed, name=content_hash)

    def experiment(index: int, epoch: int) -> Experiment:
        stream = generator(train_seed, index, "sampling", epoch)
        places = (~exposure.anomalous(own, index)).nonzero()[:, 0]
        normal = places[torch.randperm(len(places), generator=stream)[:count]]
        known = known_anomalies(exposure, index, len(sizes), split_seed)
        polluting = _polluting(own, known, round(exposure.pollution * count), generator(train_seed, index, "pollution"))
        normal = torch.cat([normal[: count - len(polluting)], polluting])
        left = own.index_fill(0, polluting, -1)  # an image is not labelled both ways
        anomalous = _labelled(left, groups, known, count, exposure, stream)
        return Experiment(index, fit[normal], fit[anomalous])

    return lambda epoch: [experiment(index, epoch) for index in classes]


def _polluting(labels: Tensor, known: list[int], count: int, stream: torch.Generator) -> Tensor:
    """Positions of the anomalies that pass for normal, int64 [count]."""
    available = int(torch.isin(labels, torch.tensor(known)).sum())
    if count >= available:
        raise UserError(
            f"--pollution: {count} of {available} images of the known anomaly classes; take a smaller share"
        )
    return draw_random(labels, known, count, stream)


def _labelled(
    labels: Tensor, groups: Tensor | None, known: list[int], count: int, exposure: Exposure, stream: torch.Generator
) -> Tensor:
    """Positions of the labelled anomalies, repeated to fill `count` places; none if training sees none."""
    if not exposure.has_anomalies:
        return torch.empty(0, dtype=torch.int64)
    share = exposure.labelled_share
    available = int(torch.isin(labels, torch.tensor(known)).sum())
    wanted = min(max(1, round(count * share / (1 - share))), available)
    if groups is None:
        drawn = draw_random(labels, known, wanted, stream)
    else:
        drawn = draw_by_cluster(labels, groups, known, wanted, stream)
    return drawn[torch.arange(count) % wanted]
