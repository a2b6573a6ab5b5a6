"""How the confirmed models' figures vary with the images: on the test part, and on validation images in another mix.

An image's influence on a mean AUROC is what it adds as a normal image and what it adds as an anomaly, each in its own
experiments. The variance, a sum of squares, therefore has three parts: of normal images, of anomalies, and of both
together. Each has a weight that the numbers of images alone decide, so that the variance on other images follows from
the parts on the test images and from the weights of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adcore.metrics import auroc_influence
from adcore.protocols.definitions import validation_images
from sweeps.engine.results.model_scores import Training
from sweeps.engine.results.resampling import resampled_deviations
from sweeps.engine.results.test_result import TestResult, validated_on

if TYPE_CHECKING:
    from adcore.config import TrainConfig
    from adcore.evaluation.test_scores import TestScores

__all__ = ["Networks", "result_of", "validation_weights"]

#: By class, the training that a model's network comes from: its configuration, and the classes trained together.
Networks = dict[int, tuple[int, tuple[int, ...]]]
Values = NDArray[np.float64]


class _Influence(NamedTuple):
    """What the images add to a model's mean over the classes, and to each class.

    of_mean: by comparison, [images]. of_kinds: of what validation is scored on, as normal images and as anomalies,
    [2, images]; None if that is not known. by_class: variance.
    """

    of_mean: dict[str, Values]
    of_kinds: Values | None
    by_class: dict[int, float]


def result_of(
    models: Mapping[tuple[int, int], Networks], scored: Mapping[Training, TestScores], metric: str
) -> TestResult:
    """Figures and variances of the models, from the scores of the trainings that their networks come from."""
    by_training = {training: scores.measured() for training, scores in scored.items()}
    measured: dict[tuple[int, int], dict[int, dict[str, float]]] = {}
    found: dict[tuple[int, int], _Influence] = {}
    weights, images = np.zeros(3), 0
    for (number, seed), networks in models.items():
        trainings = {index: (*networks[index], seed) for index in sorted(networks)}
        scores = {index: scored[training] for index, training in trainings.items()}
        measured[number, seed] = {index: by_training[training][index] for index, training in trainings.items()}
        found[number, seed] = _influence(scores, metric)
        weights, images = _test_weights(scores), len(next(iter(scores.values())).labels)
    names = next(iter(found.values())).of_mean
    rows = {name: np.stack([each.of_mean[name] for each in found.values()]) for name in names}
    return TestResult(
        measured,
        {name: each @ each.T for name, each in rows.items()},
        images,
        class_variance={model: each.by_class for model, each in found.items()},
        metric=metric,
        kind_shares=_kind_shares(found, weights),
        kind_weights=weights.tolist(),
    )


def validation_weights(config: TrainConfig, labels: Tensor) -> list[float]:
    """The weights of the three parts on validation images. labels: int64 [images], of those."""
    found = [validation_images(labels, config.exposure, each, config.split_seed) for each in config.classes]
    return _weights([(shown & ~anomalous, shown & anomalous) for shown, anomalous in found]).tolist()


def _test_weights(scores: Mapping[int, TestScores]) -> Values:
    """The weights on the test images of what validation is scored on. scores: of one model, by class."""
    anomalous = {index: own.anomalous(index) for index, own in scores.items()}
    name = validated_on(next(iter(anomalous.values())))
    return _weights([(own.normal(index), anomalous[index][name]) for index, own in scores.items()])


def _weights(kinds: Sequence[tuple[Tensor, Tensor]]) -> Values:
    """The variance if every image ranked as far from the mean as any other, in its three parts.

    kinds: by experiment, which images are normal, and which are anomalies; bool [images].
    """
    masks = (torch.stack(each).double() for each in zip(*kinds, strict=True))
    return _parts(*((each / each.sum(1, keepdim=True)).sum(0).numpy() for each in masks))


def _parts(normal: Values, anomalous: Values) -> Values:
    """The sum of squares of normal + anomalous, in its three parts."""
    return np.array([normal @ normal, anomalous @ anomalous, 2 * normal @ anomalous])


def _kind_shares(found: Mapping[tuple[int, int], _Influence], weights: Values) -> dict[int, list[list[float]]]:
    """By configuration, the parts' shares in the variance of its mean over the seeds, and of one of its models."""
    by_configuration: dict[int, list[Values]] = {}
    for (number, _), each in found.items():
        if each.of_kinds is not None:
            by_configuration.setdefault(number, []).append(each.of_kinds)
    shares: dict[int, list[list[float]]] = {}
    for number, models in by_configuration.items():
        both = _parts(*np.mean(models, 0)), np.mean([_parts(*each) for each in models], 0)
        # a part without weight is left by resampling alone: no image is of both kinds in a single experiment
        shares[number] = [_shares(np.where(weights > 0, each, 0.0)).tolist() for each in both]
    return shares


def _shares(parts: Values) -> Values:
    return parts / parts.sum() if parts.any() else parts


def _influence(scores: Mapping[int, TestScores], metric: str) -> _Influence:
    """A model's influences. scores: by class, of the training that its network comes from."""
    of_mean: dict[str, Values] = {}
    of_kinds: list[Values] = []
    by_class: dict[int, float] = {}
    for index, own in scores.items():
        by_comparison = _auroc_influence(own, index) if metric == "auroc" else resampled_deviations(own, index, metric)
        by_class[index] = float(by_comparison[""] @ by_comparison[""])
        for name, influence in by_comparison.items():
            of_mean[name] = of_mean.get(name, 0) + influence / len(scores)
        of_kinds += _by_kind(own, index, metric, by_comparison, is_alone=len(scores) == 1)
    return _Influence(of_mean, np.sum(of_kinds, 0) / len(scores) if of_kinds else None, by_class)


def _by_kind(
    scores: TestScores, experiment: int, metric: str, by_comparison: Mapping[str, Values], *, is_alone: bool
) -> Iterator[Values]:
    """An experiment's influence as normal images and as anomalies, [2, images]; nothing if that is not known.

    A metric other than AUROC has to be resampled by kind for it, which takes too long with ten experiments; a
    validation part with quite another mix of kinds belongs to one.
    """
    name, normal = validated_on(by_comparison), scores.normal(experiment)
    if metric == "auroc":
        yield np.stack([by_comparison[name] * kind.numpy() for kind in (normal, ~normal)])
    elif is_alone:
        kinds = [resampled_deviations(scores, experiment, metric, redrawn=kind) for kind in (normal, ~normal)]
        yield np.stack([each[name] for each in kinds])


def _auroc_influence(scored: TestScores, normal: int) -> dict[str, Values]:
    """Each image's influence on the AUROC of experiment `normal`, by comparison: [images]."""
    member, by_comparison = scored.config.classes.index(normal), dict[str, Values]()
    for name, anomalous in scored.anomalous(normal).items():
        shown = anomalous | scored.normal(normal)
        by_comparison[name] = np.zeros(len(scored.labels))
        by_comparison[name][shown.numpy()] = auroc_influence(scored.scores[shown, member], anomalous[shown])
    return by_comparison
