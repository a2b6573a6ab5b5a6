"""Pseudo-anomalies: normal images that are changed so much that training can take them for anomalies.

Rotated images are the shifted instances of CSI (Tack et al. 2020, arXiv 2007.08176), which trains them as negatives;
Golan and El-Yaniv 2018 (arXiv 1805.10917) classify them instead. Swapped halves are its coarsest permutation of
patches. Stretched ones leave the parts of an object where they are and change its shape.

No other image is needed: they teach what is not normal where no anomalies are labelled, or few kinds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import product
from types import MappingProxyType

import torch
from torch import Tensor

from adcore.augment import PLAIN, STRETCHED, SWAPPED, Augmentation, Transform, transform

__all__ = ["PseudoAnomalies"]

#: What is done to rows and columns: places in adcore.augment's table; never nothing.
SWAPS = ((SWAPPED, PLAIN), (PLAIN, SWAPPED), (SWAPPED, SWAPPED))
STRETCHES = tuple(product((PLAIN, *STRETCHED), (PLAIN, *STRETCHED)))[1:]
#: How images are changed, by name: what rows and columns it can be, and quarters that the image is turned by.
CHANGES: Mapping[str, tuple[Sequence[tuple[int, int]], Sequence[int]]] = MappingProxyType(
    {"rotate": ([(PLAIN, PLAIN)], (1, 2, 3)), "swap": (SWAPS, (0,)), "stretch": (STRETCHES, (0,))}
)


@dataclasses.dataclass(frozen=True)
class PseudoAnomalies:
    """kinds: of CHANGES, all equally often. share: of the anomalies of an epoch that are made, all where none are
    labelled. augmentation: of the normal images; its flips and rotations are theirs, too."""

    kinds: tuple[str, ...]
    share: float
    augmentation: Augmentation

    @classmethod
    def of(cls, name: str, share: float, augmentation: Augmentation) -> PseudoAnomalies | None:
        """Those of TrainConfig's fields: one kind by name, "all" or "none".

        Where normal images are rotated, rotations are no part of "all".
        """
        kinds = (
            tuple(kind for kind in CHANGES if kind != "rotate" or not augmentation.rotate) if name == "all" else (name,)
        )
        return None if name == "none" else cls(kinds, share, augmentation)

    def mixed_with(
        self, anomalous: Tensor, change: Transform, normal: Tensor, stream: torch.Generator
    ) -> tuple[Tensor, Transform]:
        """An epoch's anomalies, some of them replaced by pseudo-anomalies, evenly: positions, and how they change.

        anomalous: positions in order of use, int64 [n], each with its change; empty: all are made. normal: positions of
        as many normal images.
        """
        count = len(normal)
        sources = normal[torch.randperm(count, generator=stream)]
        made = self._changes(count, stream)
        if not len(anomalous):
            return sources, made
        steps = torch.arange(count + 1, dtype=torch.float64) * self.share
        is_made = steps[1:].floor() > steps[:-1].floor()
        pairs = zip(made, change, strict=True)
        return torch.where(is_made, sources, anomalous), Transform(*(torch.where(is_made, *pair) for pair in pairs))

    def _changes(self, count: int, stream: torch.Generator) -> Transform:
        """Random changes of so many images."""

        def below(limit: int) -> Tensor:
            return torch.randint(limit, (count,), generator=stream)

        kinds = below(len(self.kinds))
        flips = below(2) * self.augmentation.vertical_flip, below(2) * self.augmentation.horizontal_flip
        axes, quarters = torch.zeros(count, 2, dtype=torch.int64), torch.zeros(count, dtype=torch.int64)
        for place, kind in enumerate(self.kinds):
            pairs, turns = CHANGES[kind]
            if len(turns) > 1 and self.augmentation.horizontal_flip and self.augmentation.vertical_flip:
                turns = (1, 3)  # half a turn is both flips, which normal images have, too
            of_axes, of_quarters = (torch.tensor(values)[below(len(values))] for values in (pairs, turns))
            axes[kinds == place], quarters[kinds == place] = of_axes[kinds == place], of_quarters[kinds == place]
        if self.augmentation.rotate:  # as normal images are: else what is turned would be normal
            quarters = quarters + below(4)
        return transform(axes[:, 0], axes[:, 1], *flips, quarters)
