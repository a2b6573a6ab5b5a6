"""What an experiment is: which images are normal, which anomalous, and what may be looked at when.

The data set's train part is split once into fit and validation images, stratified by class, by `split_seed`. In
one-vs-rest experiment i class i is normal and the others are anomalies. Only the fit images of anomalies are drawn
down; validation and test keep every class as it is.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from adcore.errors import UserError
from adcore.sampling import cluster, draw_by_cluster, draw_random, equal_shares
from adcore.streams import generator

__all__ = ["VALIDATION_SHARE", "Experiment", "Split", "cap_per_class", "one_vs_rest", "require_every_class", "split"]

#: Share of the train part that is kept for validation: 10,000 of Fashion-MNIST's 60,000.
VALIDATION_SHARE = 1 / 6
#: Images of a class that a train part must have: some for validation, some to fit.
MINIMUM_IMAGES = 12


@dataclasses.dataclass(frozen=True)
class Split:
    """Positions in a data set's train part, int64; disjoint."""

    fit: Tensor
    validation: Tensor


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Positions in the train part of the images that one experiment is fitted on, int64 [n] each."""

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
    labels: Tensor, *, split_seed: int, images_per_class: int | None = None, validation_images: int | None = None
) -> Split:
    """Fit and validation positions, stratified by class. labels: int64 [n] of the train part.

    images_per_class caps each class in both parts, validation_images the validation part as a whole; None: no cap.
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
        count = round(len(own) * VALIDATION_SHARE)
        validation.append(own[:count][:images_per_class])
        fit.append(own[count:][:images_per_class])
    sizes = [len(part) for part in validation]
    shares = equal_shares(min(validation_images or sum(sizes), sum(sizes)), sizes)
    kept = [part[:share] for part, share in zip(validation, shares, strict=True)]
    return Split(fit=torch.cat(fit).sort().values, validation=torch.cat(kept).sort().values)


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
) -> list[Experiment]:
    """One experiment per class in `classes`, all of one size: that of the smallest class among the fit images.

    images: uint8 [n, channels, height, width], labels: int64 [n], of the train part; fit: positions in it.
    sampling: "kmeans" or "random".
    """
    own = labels[fit]
    present = own.unique().tolist()
    count = min(int((own == index).sum()) for index in present)
    groups = None
    if sampling == "kmeans":
        groups = cluster(images[fit], own, clusters=clusters, seed=split_seed, name=content_hash)
    experiments: list[Experiment] = []
    for index in classes:
        stream = generator(train_seed, index, "sampling")
        places = (own == index).nonzero()[:, 0]
        normal = places[torch.randperm(len(places), generator=stream)[:count]]
        others = [other for other in present if other != index]
        if groups is None:
            anomalous = draw_random(own, others, count, stream)
        else:
            anomalous = draw_by_cluster(own, groups, others, count, stream)
        experiments.append(Experiment(index, fit[normal], fit[anomalous]))
    return experiments
