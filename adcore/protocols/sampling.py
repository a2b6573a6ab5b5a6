"""Subsample anomalies to the number of normal images: evenly over classes and k-means clusters, or at random."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

__all__ = ["cluster", "draw_by_cluster", "draw_random", "equal_shares"]


def equal_shares(total: int, sizes: Sequence[int]) -> list[int]:
    """Split `total` over places of limited size as evenly as they allow; the remainder goes to the largest places.

    Raises ValueError if the places hold fewer than `total`.
    """
    if total > sum(sizes):
        raise ValueError(f"cannot draw {total} from {sum(sizes)}")
    shares = [0] * len(sizes)
    by_size = sorted(range(len(sizes)), key=lambda place: sizes[place])
    for done, place in enumerate(by_size):  # smallest first: the larger ones share its excess
        shares[place] = min(sizes[place], (total - sum(shares)) // (len(sizes) - done))
    return shares


def cluster(
    images: Tensor, labels: Tensor, *, clusters: int, seed: int, name: str, cache: Path | None = None
) -> Tensor:
    """k-means clusters of the flattened pixels, class by class (scikit-learn's MiniBatchKMeans).

    images: uint8 [n, channels, height, width]; labels: int64 [n]; name: identifies the data set's content.
    Returns the cluster of each image within its class, int64 [n]. Cached on disk by name, images and settings.
    """
    pixels = images.flatten(1).numpy()
    digest = hashlib.sha256(pixels.tobytes() + labels.numpy().tobytes())
    key = hashlib.sha256(f"{name} {digest.hexdigest()} {clusters} {seed}".encode()).hexdigest()[:32]
    path = (cache or Path(platformdirs.user_cache_dir("adcore"), "clusters")) / f"{key}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):  # absent, truncated or empty: computed again
        stored = np.load(path, allow_pickle=False)
        if stored.shape == (len(labels),):
            return torch.from_numpy(stored)
    found = _fit_clusters(pixels, labels.numpy(), clusters, seed)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs seconds, not the run
        _write(path, found)
    return torch.from_numpy(found)


def draw_by_cluster(
    labels: Tensor, clusters: Tensor, anomalous: Sequence[int], total: int, generator: torch.Generator
) -> Tensor:
    """Positions of `total` images, evenly over the classes in `anomalous` and, within each, over its clusters.

    If there are more classes, or clusters of a class, than that, it is drawn which of them give an image. labels,
    clusters: int64 [n]. Returns int64 [total]. After the balanced sampling of Kim et al., ECCV Workshops 2020.
    """
    present = [index for index in anomalous if (labels == index).any()]
    if 0 < total < len(present):  # else it would always be the largest classes, and the last of equal ones
        anomalous = [present[place] for place in torch.randperm(len(present), generator=generator)[:total].tolist()]
    by_class = [(labels == index).nonzero()[:, 0] for index in anomalous]
    drawn: list[Tensor] = []
    for members, share in zip(by_class, equal_shares(total, [len(m) for m in by_class]), strict=True):
        own = clusters[members]
        groups = [members[own == group] for group in own.unique()]
        if 0 < share < len(groups):  # likewise
            groups = [groups[place] for place in torch.randperm(len(groups), generator=generator)[:share].tolist()]
        for group, count in zip(groups, equal_shares(share, [len(g) for g in groups]), strict=True):
            drawn.append(group[torch.randperm(len(group), generator=generator)[:count]])
    return torch.cat(drawn)


def draw_random(labels: Tensor, anomalous: Sequence[int], total: int, generator: torch.Generator) -> Tensor:
    """Positions of `total` images of the classes in `anomalous`, all equally likely. labels: int64 [n]."""
    places = torch.isin(labels, torch.tensor(anomalous)).nonzero()[:, 0]
    return places[torch.randperm(len(places), generator=generator)[:total]]


def _fit_clusters(pixels: NDArray[np.uint8], labels: NDArray[np.int64], clusters: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import MiniBatchKMeans

    found = np.zeros(len(labels), np.int64)
    with threadpool_limits(1):  # the same order of summation on every machine
        for index in np.unique(labels):
            own = pixels[labels == index].astype(np.float32) / 255
            if len(own) <= clusters:  # k-means at an inertia of 0 leaves the outcome to rounding
                found[labels == index] = np.arange(len(own))
                continue
            options: dict[str, Any] = {"random_state": seed % 2**32, "n_init": 3, "batch_size": 1024}
            found[labels == index] = MiniBatchKMeans(clusters, **options).fit_predict(own)
    return found


def _write(path: Path, found: NDArray[np.int64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.save(file, found, allow_pickle=False)
    os.replace(file.name, path)  # two processes that write at once leave one complete file
