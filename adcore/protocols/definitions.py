"""Exposure: which anomalies training sees. No torch until something is drawn: configurations are checked here.

paper (Kim et al. 2020): every anomaly class. seen-unseen (after Ruff et al. 2020, arXiv 1906.02694): k
known anomaly classes, the others only in the test part. one-class: no anomalies. held-out: no anomalies, for data
whose train part has none (adcore.protocols.held_out). In these four, class i is normal in experiment i. leave-one-out
is the reverse: class i is anomalous, all others are normal. In the counted protocols, COUNTS, class i is normal and the
numbers of images are fixed; a run trains one experiment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from adcore.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "COUNTS",
    "FOLDS",
    "HELD_OUT",
    "MINIMUM_IMAGES",
    "PROTOCOLS",
    "Counts",
    "Exposure",
    "check_exposure",
    "check_one_experiment",
    "known_anomalies",
    "validation_images",
]


@dataclasses.dataclass(frozen=True)
class Counts:
    """Maximum numbers of images of an experiment, (normal, anomalous), in each part of the data set; None: no limit.

    A fifth of each kind in the train part is for validation. fits_anomalies: whether training sees the other anomalies.
    """

    train: tuple[int | None, int | None]
    test: tuple[int | None, int | None]
    fits_anomalies: bool = True


#: The counted protocols, after student reports; anomalies are drawn at random from all other classes.
#: balanced-9600: 9,600 images to fit, 2,400 for validation and 2,000 for the test, half of them anomalies.
#: rare-504: MNIST's 5,923 zeros and 504 anomalies. The report's test part has 1,070 images; we infer that these are all
#: 980 zeros and 90 anomalies.
#: normal-4500: 4,500 normal images to fit, 500 + 500 for the test. Thresholds are chosen on 1,125 more normal images
#: and a fifth of 504 anomalies; that is our choice.
COUNTS: Mapping[str, Counts] = MappingProxyType(
    {
        "balanced-9600": Counts(train=(6000, 6000), test=(1000, 1000)),
        "rare-504": Counts(train=(None, 504), test=(None, 90)),
        "normal-4500": Counts(train=(5625, 504), test=(500, 500), fits_anomalies=False),
    }
)
#: Number of folds in k-fold cross-validation; each is the validation part in turn.
FOLDS = 5
#: Minimum number of images per class in a train part: some for validation, some to fit.
MINIMUM_IMAGES = 12
#: The protocol whose validation has half of the test part's anomalies.
HELD_OUT = "held-out"
PROTOCOLS = ("paper", "seen-unseen", "one-class", HELD_OUT, "leave-one-out", *COUNTS)


@dataclasses.dataclass(frozen=True)
class Exposure:
    """TrainConfig's fields of the same names; by default every anomaly class, as many anomalies as normal images.

    labelled_share: labelled anomalies / (labelled anomalies + normal images), up to .5.
    pollution: share of the normal images that are really anomalies.
    """

    protocol: str = "paper"
    known_classes: int | None = None
    labelled_share: float = 0.5
    pollution: float = 0.0

    @property
    def has_anomalies(self) -> bool:
        """Whether training sees labelled anomalies."""
        return self.counts.fits_anomalies if self.counts else self.protocol not in ("one-class", HELD_OUT)

    @property
    def counts(self) -> Counts | None:
        """The numbers of images, if the protocol fixes them."""
        return COUNTS.get(self.protocol)

    @property
    def named_class(self) -> str:
        """The role of the class that names an experiment, in words."""
        return "anomalous class" if self.protocol == "leave-one-out" else "normal class"

    @property
    def in_words(self) -> str:
        """What training sees of the anomalies, after "trained": figures of different protocols do not compare."""
        if self.protocol == HELD_OUT:
            return (
                "without anomalies; half of the test part's are for validation, the other half for the test: its "
                "figures are not those of the whole test part"
            )
        if not self.has_anomalies:
            return "without labelled anomalies; validation has some"
        if self.protocol == "leave-one-out":
            return "with labelled images of the anomalous class"
        if self.protocol != "seen-unseen":
            return "with labelled anomalies of every other class"
        known = self.known_classes or 1
        return f"with labelled anomalies of {known} other class{'es' * (known > 1)}, not of the rest"

    def anomalous(self, labels: Tensor, experiment: int) -> Tensor:
        """Which images are anomalies in an experiment, bool [n]; labels: int64 [n]."""
        return labels == experiment if self.protocol == "leave-one-out" else labels != experiment


def check_exposure(exposure: Exposure, classes: int) -> int | None:
    """The number of known classes, if the protocol has one. Raises UserError for fields that contradict each other."""
    if not exposure.has_anomalies and exposure.labelled_share != 0.5:
        raise UserError(f"--labelled-share: --protocol {exposure.protocol} has no labelled anomalies; omit the flag")
    if exposure.protocol != "seen-unseen":
        if exposure.known_classes is not None:
            raise UserError(f"--known-classes: only --protocol seen-unseen has them; omit it for {exposure.protocol}")
        return None
    known = exposure.known_classes or 1
    if known > classes - 2:
        raise UserError(f"--known-classes {known}: expected at most {classes - 2}, so that one class stays unseen")
    return known


def check_one_experiment(protocol: str, classes: Sequence[int], flag: str) -> None:
    """Raises UserError for several experiments under a counted protocol, where each has its own images."""
    if protocol in COUNTS and len(classes) > 1:
        raise UserError(
            f"--{flag} {','.join(map(str, classes))}: --protocol {protocol} trains one class per run; "
            f"give one, such as --{flag} {classes[0]}"
        )


def known_anomalies(exposure: Exposure, normal: int, classes: int, split_seed: int) -> list[int]:
    """The anomaly classes that experiment `normal` may learn from and be validated on, of 0..classes-1.

    Under seen-unseen they are drawn by split_seed, the same for every training. One-class and held-out learn from none
    of them and are validated on all. Under leave-one-out there is one, the class that names the experiment.
    """
    if exposure.protocol == "leave-one-out":
        return [normal]
    others = [index for index in range(classes) if index != normal]
    if exposure.protocol != "seen-unseen":
        return others
    import torch

    from adcore.random_streams import generator

    drawn = torch.randperm(len(others), generator=generator(split_seed, normal, "known"))[: exposure.known_classes]
    return sorted(others[place] for place in drawn.tolist())


def validation_images(labels: Tensor, exposure: Exposure, experiment: int, split_seed: int) -> tuple[Tensor, Tensor]:
    """Which validation images an experiment may use, and which images are its anomalies; both bool [n].

    It may use its normal images and its known anomaly classes. labels: int64 [n], of every class.
    """
    import torch

    known = known_anomalies(exposure, experiment, int(labels.max()) + 1, split_seed)
    anomalous = exposure.anomalous(labels, experiment)
    return ~anomalous | torch.isin(labels, torch.tensor(known, dtype=torch.int64)), anomalous
