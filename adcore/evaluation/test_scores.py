"""Scores of a trained detector on the test part, and the metrics of each experiment."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, describe
from adcore.datasets.own import is_own
from adcore.errors import UserError
from adcore.metrics import measure
from adcore.protocols.definitions import known_anomalies
from adcore.protocols.splits import cap_per_class, select
from adcore.train.batch_scores import anomaly_scores

if TYPE_CHECKING:
    from adcore.train.pack import Pack

__all__ = ["TestScores", "require_every_kind", "score_test", "tested_positions"]


@dataclasses.dataclass(frozen=True)
class TestScores:
    """Anomaly scores of the test part: scores [n, members], one member per class of config; labels int64 [n]."""

    config: TrainConfig
    scores: Tensor
    labels: Tensor

    def normal(self, experiment: int) -> Tensor:
        """Which images count as normal, bool [n]."""
        return ~self.config.exposure.anomalous(self.labels, experiment)

    def anomalous(self, experiment: int) -> dict[str, Tensor]:
        """Which images count as anomalies of an experiment, bool [n], by name of the comparison.

        "": all anomalies; under seen-unseen also "seen" and "unseen": the known classes, and the others.
        """
        others = ~self.normal(experiment)
        if self.config.protocol != "seen-unseen":
            return {"": others}
        classes = len(describe(self.config.dataset).class_names)
        known_classes = known_anomalies(self.config.exposure, experiment, classes, self.config.split_seed)
        seen = torch.isin(self.labels, torch.tensor(known_classes))
        return {"": others, "seen": seen, "unseen": others & ~seen}

    def measured(self) -> dict[int, dict[str, float]]:
        """By experiment: metrics.METRICS over all anomalies; under seen-unseen also with the endings _seen, _unseen.

        Raises UserError for a test part that lacks a kind of images.
        """
        self.require_every_kind()
        by_experiment: dict[int, dict[str, float]] = {}
        for member, experiment in enumerate(self.config.classes):
            metrics = by_experiment[experiment] = {}
            for name, anomalous in self.anomalous(experiment).items():
                shown = anomalous | self.normal(experiment)
                ending = f"_{name}" if name else ""
                values = measure(self.scores[shown, member], anomalous[shown])
                metrics |= {f"{metric}{ending}": value for metric, value in values.items()}
        return by_experiment

    def require_every_kind(self) -> None:
        """Raises UserError if an experiment has no normal images, or none of a kind of anomalies."""
        is_alone = describe(self.config.dataset).normal_class is not None
        for experiment in self.config.classes:
            leave_out = "" if is_alone else f"leave class {experiment} out of the classes, or "
            kinds = {f"{name} anomalies".lstrip(): anomalous for name, anomalous in self.anomalous(experiment).items()}
            for name, mask in {"normal images": self.normal(experiment), **kinds}.items():
                if not mask.any():
                    raise UserError(
                        f"the test part has no {name} of experiment {experiment}, expected some of each kind; "
                        f"{leave_out}use another test part or none"
                    )


def require_every_kind(config: TrainConfig, labels: Tensor) -> None:
    """Raises UserError for a test part that lacks a kind of images of an experiment. labels: int64 [n] of that part."""
    TestScores(config, torch.empty(len(labels), 0), labels).require_every_kind()


def score_test(detector: Pack, config: TrainConfig, data: ImageDataset) -> TestScores:
    """Score the test part `data`. Opening the test part is the caller's decision."""
    kept = tested_positions(config, data.labels)
    scores = anomaly_scores(detector, data.images[kept], mirrored=config.mirrored_scores)
    return TestScores(config, scores, data.labels[kept])


def tested_positions(config: TrainConfig, labels: Tensor) -> Tensor:
    """Positions of the images that config's models are tested on, ascending. labels: int64 [n] of the test part."""
    if not config.exposure.counts:
        # files come in the order of their names, of which a cap must not take the first
        drawn_by = config.split_seed if is_own(config.dataset) else None
        return cap_per_class(labels, config.images_per_class, drawn_by=drawn_by)
    return select(
        labels,
        config.exposure,
        config.classes[0],
        part="test",
        split_seed=config.split_seed,
        images_per_class=config.images_per_class,
    )
