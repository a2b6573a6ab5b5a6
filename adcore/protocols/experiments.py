"""An experiment: which images are normal, which are anomalous, and how many of them training sees.

In one-vs-rest experiment i, class i is normal and the others are anomalies, or the reverse; the exposure says which
anomalies training sees. Anomalies are subsampled among the fit images only; validation and test keep every class
unchanged, except under counted protocols, which select images of every part (adcore.protocols.splits).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from adcore.errors import UserError
from adcore.protocols.definitions import Exposure, known_anomalies
from adcore.protocols.sampling import cluster, draw_by_cluster, draw_random
from adcore.random_streams import generator

__all__ = ["Experiment", "normal_counts", "one_vs_rest", "require_labelled_anomalies"]

#: The exposure of the paper: balanced anomalies of all classes.
EVERY_ANOMALY = Exposure()


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Positions in the train part of the images that one experiment is fitted on, int64 [n] each.

    normal: images that training treats as normal, including polluting ones. anomalous: as many, repeated if fewer are
    labelled; empty without labelled anomalies. normal_class: the class that names the experiment.
    """

    normal_class: int
    normal: Tensor
    anomalous: Tensor


def one_vs_rest(
    images: Tensor,
    labels: Tensor,
    fit: Tensor,
    *,
    sampling: str,
    clusters: int,
    split_seed: int,
    content_hash: str,
    exposure: Exposure = EVERY_ANOMALY,
    only: int | None = None,
) -> Callable[[int, int, int], Experiment]:
    """Return a function that draws a class's experiment; all are of one size, that of the smallest normal part.

    That is the smallest class of the fit images; under leave-one-out, all classes but the largest; that experiment's
    class under a counted protocol, whose fit images are selected for one experiment, and in data where `only` one class
    can be normal.

    images: uint8 [n, channels, height, width], labels: int64 [n], of the train part; fit: positions in it.
    sampling: "kmeans" or "random". Returns draw(class, train_seed, epoch): each epoch draws anew which images of a kind
    are used if there are too many, and their order; polluting images stay the same, and labelled anomalies do where
    exposure.labelled_share limits them. It raises UserError if pollution leaves no image of the known anomaly classes
    to label.
    """
    own = labels[fit]
    sizes = torch.bincount(own)
    groups = None
    if sampling == "kmeans" and exposure.has_anomalies:
        groups = cluster(images[fit], own, clusters=clusters, seed=split_seed, name=content_hash)

    def draw(index: int, train_seed: int, epoch: int) -> Experiment:
        count = _size(own, index, exposure, only)
        stream = generator(train_seed, index, "sampling", epoch)
        places = (~exposure.anomalous(own, index)).nonzero()[:, 0]
        normal = places[torch.randperm(len(places), generator=stream)[:count]]
        known = known_anomalies(exposure, index, len(sizes), split_seed)
        polluting = _polluting(own, known, round(exposure.pollution * count), generator(train_seed, index, "pollution"))
        normal = torch.cat([normal[: count - len(polluting)], polluting])
        if epoch and exposure.labelled_share < 0.5:  # others in each epoch would be more labels than the share allows
            return Experiment(index, fit[normal], draw(index, train_seed, 0).anomalous)
        left = own.index_fill(0, polluting, -1)  # an image is not labelled both ways
        anomalous = _labelled(left, groups, known, count, exposure, stream)
        return Experiment(index, fit[normal], fit[anomalous])

    return draw


def require_labelled_anomalies(
    labels: Tensor,
    fit: Tensor,
    *,
    classes: tuple[int, ...],
    split_seed: int,
    exposure: Exposure,
    only: int | None = None,
) -> None:
    """Raises UserError if pollution leaves no known anomaly to label; arguments as for `one_vs_rest`."""
    if not exposure.has_anomalies and not exposure.pollution:
        return
    own = labels[fit]
    for index in classes:
        known = known_anomalies(exposure, index, len(torch.bincount(own)), split_seed)
        _require_labelled(own, known, round(exposure.pollution * _size(own, index, exposure, only)))


def normal_counts(own: Tensor, experiment: int, exposure: Exposure, only: int | None = None) -> tuple[int, int]:
    """How many normal images an experiment has in an epoch, and how many there are. own: labels of the fit images."""
    return _size(own, experiment, exposure, only), int((~exposure.anomalous(own, experiment)).sum())


def _size(own: Tensor, experiment: int, exposure: Exposure, only: int | None) -> int:
    """Normal images per experiment, or of this one if it is alone. own: labels of the fit images."""
    named = [experiment] if exposure.counts or only is not None else own.unique().tolist()
    return min(int((~exposure.anomalous(own, index)).sum()) for index in named)


def _require_labelled(labels: Tensor, known: list[int], polluting: int) -> None:
    available = int(torch.isin(labels, torch.tensor(known)).sum())
    if polluting >= available:
        raise UserError(
            f"--pollution: {polluting} of {available} images of the known anomaly classes, which leaves none to label; "
            "take a smaller share"
        )


def _polluting(labels: Tensor, known: list[int], count: int, stream: torch.Generator) -> Tensor:
    """Positions of the anomalies that are treated as normal, int64 [count]."""
    if not count:
        return torch.empty(0, dtype=torch.int64)
    _require_labelled(labels, known, count)
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
        if wanted < count:  # they come class by class: the first ones, which may be used once more, are of any
            drawn = drawn[torch.randperm(wanted, generator=stream)]
    return drawn[torch.arange(count) % wanted]
