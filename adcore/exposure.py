"""Exposure: which anomalies a training sees. Free of torch until something is drawn: configurations are checked here.

paper (Kim et al. 2020): every anomaly class. seen-unseen (after Ruff et al. 2020, arXiv 1906.02694): k
known anomaly classes, the others first met in the test part. one-class: no anomalies. In all three, class i is normal
in experiment i. leave-one-out turns that round: class i is anomalous, all others are normal.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from adcore.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PROTOCOLS", "Exposure", "check_exposure", "known_anomalies", "validation_images"]

PROTOCOLS = ("paper", "seen-unseen", "one-class", "leave-one-out")


@dataclasses.dataclass(frozen=True)
class Exposure:
    """What TrainConfig's fields of the same names say; the default shows every anomaly class, as many as normal images.

    labelled_share: labelled anomalies / (labelled anomalies + normal images), up to .5.
    pollution: share of the normal images that are anomalies in truth.
    """

    protocol: str = "paper"
    known_classes: int | None = None
    labelled_share: float = 0.5
    pollution: float = 0.0

    @property
    def has_anomalies(self) -> bool:
        """Whether training is shown images that are labelled as anomalies."""
        return self.protocol != "one-class"

    def anomalous(self, labels: Tensor, experiment: int) -> Tensor:
        """Which images are anomalies in an experiment, bool [n]; labels: int64 [n]."""
        return labels == experiment if self.protocol == "leave-one-out" else labels != experiment


def check_exposure(exposure: Exposure, classes: int) -> int | None:
    """The number of known classes where the protocol has one. Raises UserError for fields at odds with each other."""
    if exposure.protocol == "one-class" and exposure.labelled_share != 0.5:
        raise UserError("--labelled-share: --protocol one-class has no labelled anomalies; leave it out")
    if exposure.protocol != "seen-unseen":
        if exposure.known_classes is not None:
            raise UserError(f"--known-classes: only --protocol seen-unseen has them, not {exposure.protocol}")
        return None
    known = exposure.known_classes or 1
    if known > classes - 2:
        raise UserError(f"--known-classes {known}: expected at most {classes - 2}, so that one class stays unseen")
    return known


def known_anomalies(exposure: Exposure, normal: int, classes: int, split_seed: int) -> list[int]:
    """The anomaly classes that experiment `normal` may learn from and be validated on, of 0..classes-1.

    Under seen-unseen they are drawn by split_seed: the same for every training. One-class learns from none of them
    and is validated on all. Under leave-one-out there is one, the class that names the experiment.
    """
    if exposure.protocol == "leave-one-out":
        return [normal]
    others = [index for index in range(classes) if index != normal]
    if exposure.protocol != "seen-unseen":
        return others
    import torch

    from adcore.streams import generator

    drawn = torch.randperm(len(others), generator=generator(split_seed, normal, "known"))[: exposure.known_classes]
    return sorted(others[place] for place in drawn.tolist())


def validation_images(labels: Tensor, exposure: Exposure, experiment: int, split_seed: int) -> tuple[Tensor, Tensor]:
    """Which validation images an experiment may look at, and which images are its anomalies; bool [n] both.

    It sees its normal images and the anomaly classes that it may know. labels: int64 [n], of every class.
    """
    import torch

    known = known_anomalies(exposure, experiment, int(labels.max()) + 1, split_seed)
    anomalous = exposure.anomalous(labels, experiment)
    return ~anomalous | torch.isin(labels, torch.tensor(known)), anomalous
