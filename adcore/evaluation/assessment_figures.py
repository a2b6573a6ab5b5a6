"""The figures of one experiment's assessment, and of all experiments together, as PNG files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, describe
from adcore.evaluation import figures, image_figures
from adcore.evaluation.assessment import BEST_F1, Assessment
from adcore.evaluation.test_scores import tested_positions
from adcore.metric_names import of_class
from adcore.reconstruction import unit_range
from adcore.train.batch_scores import by_batch
from adcore.train.pack import Pack

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["RECONSTRUCTED", "write_auroc_by_class", "write_figures"]

#: Images of each kind whose reconstructions are shown; of those that are scored best, and of those worst.
RECONSTRUCTED = 8
#: Rules whose thresholds are drawn: of those within the scores' range, the ones that differ most from each other.
SHOWN_RULES = (BEST_F1, "mean of means", "5 % false positives")
DOTS_PER_INCH = 100


def write_figures(
    folder: Path,
    assessment: Assessment,
    detector: Pack,
    test_part: ImageDataset,
    history: Sequence[dict[str, float]],
) -> list[Path]:
    """Write one experiment's figures into folder, created if needed, and return their paths.

    roc.png, confusion_matrix.png at the threshold of best F1, score_densities.png, scored_images.png with the images
    that are scored best and worst; reconstructions.png of the first test images of each class in turn, if the detector
    reconstructs; loss_curves.png, if it has losses. If scores are
    not finite, only the losses are drawn. history: each epoch's metrics, from TrainResult or a checkpoint. Raises
    OSError if a file cannot be written.
    """
    config, experiment = assessment.config, assessment.experiment
    title = _title(config, experiment)
    drawn: dict[str, Figure] = {}
    if assessment.decisions:
        drawn |= _figures_of_scores(assessment, title)
        drawn["scored_images"] = _scored_images(test_part, assessment, title)
        if detector.kind.reconstructs:
            member = config.classes.index(experiment)
            drawn["reconstructions"] = _reconstructions(detector, member, test_part, assessment, title)
    if curves := _losses(history, experiment):
        drawn["loss_curves"] = figures.loss_curves(curves, title=title)
    return _write(folder, drawn)


def write_auroc_by_class(folder: Path, assessments: dict[int, Assessment]) -> list[Path]:
    """Write auroc_by_class.png of the experiments whose AUROC is finite, if there are several; return its path.

    Under seen-unseen, seen and unseen anomalies have their own points. Raises OSError like `write_figures`.
    """
    finite = {
        index: assessment for index, assessment in assessments.items() if math.isfinite(assessment.measured["auroc"])
    }
    if len(finite) < 2:
        return []
    first = next(iter(finite.values()))
    endings = [name.removeprefix("auroc") for name in first.measured if name.startswith("auroc")]
    series = {
        f"test AUROC{ending.replace('_', ', ')}": [
            assessment.measured[f"auroc{ending}"] for assessment in finite.values()
        ]
        for ending in endings
    }
    names = describe(first.config.dataset).class_names
    drawn = figures.auroc_by_class(
        series,
        [names[index] for index in finite],
        title=f"{first.config.detector} on {first.config.dataset}",
        xlabel=first.config.exposure.named_class,
    )
    return _write(folder, {"auroc_by_class": drawn})


def _figures_of_scores(assessment: Assessment, title: str) -> dict[str, Figure]:
    scores, anomalous = assessment.scores.double().numpy(), assessment.anomalous.numpy()
    thresholds = {name: assessment.decisions[name].threshold for name in SHOWN_RULES}
    best = assessment.decisions[BEST_F1]
    return {
        "roc": figures.roc(scores, anomalous, title=title, thresholds=thresholds),
        "confusion_matrix": figures.confusion_matrix(
            best.confusion, title=f"{title}\nthreshold {best.threshold:.4g} ({BEST_F1})"
        ),
        "score_densities": figures.score_densities(scores, anomalous, title=title, thresholds=thresholds),
    }


def _scored_images(test_part: ImageDataset, assessment: Assessment, title: str) -> Figure:
    tested = tested_positions(assessment.config, test_part.labels)
    scores, anomalous = assessment.scores.double().numpy(), assessment.anomalous.numpy()
    kinds: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for kind in (False, True):
        places = (anomalous == kind).nonzero()[0]
        own = scores[places]
        drawn = sorted(place for end in image_figures.ends(own, anomalous=kind, shown=RECONSTRUCTED) for place in end)
        images = test_part.images[tested[places[drawn]]]
        kinds.append((images.double().div(255).numpy(), own[drawn]))
    return image_figures.scored_images(*kinds, title=title, shown=RECONSTRUCTED)


def _reconstructions(
    detector: Pack, member: int, test_part: ImageDataset, assessment: Assessment, title: str
) -> Figure:
    anomalous = assessment.config.exposure.anomalous(test_part.labels, assessment.experiment)
    shown = []
    for kind in (~anomalous, anomalous):
        positions = kind.nonzero()[:, 0]
        images = test_part.images[positions[_class_by_class(test_part.labels[positions])[:RECONSTRUCTED]]]
        plain = by_batch(detector, images, lambda plain: plain)
        output = by_batch(detector, images, detector.reconstruct)[:, member]
        shown.append(tuple(unit_range(images).clamp(0, 1).double().numpy() for images in (plain, output)))
    return image_figures.reconstructions(*shown, title=title)


def _class_by_class(labels: Tensor) -> Tensor:
    """Positions of all images, classes in turn and each class in its own order, int64 [n]. labels: int64 [n]."""
    turn = torch.zeros_like(labels)
    for index in labels.unique():
        of_class = labels == index
        turn[of_class] = torch.arange(int(of_class.sum()))
    return (turn * (labels.max() + 1) + labels).argsort()


def _losses(history: Sequence[dict[str, float]], experiment: int) -> dict[str, list[float]]:
    """Each loss of an experiment over the epochs, by name."""
    epochs = [of_class(epoch, experiment) for epoch in history]
    names = [name for name in (epochs[0] if epochs else ()) if name.startswith("loss_")]
    return {name.removeprefix("loss_"): [epoch[name] for epoch in epochs] for name in names}


def _title(config: TrainConfig, experiment: int) -> str:
    name = describe(config.dataset).class_names[experiment]
    return f"{config.detector} on {config.dataset}\n{config.exposure.named_class}: {name}"


def _write(folder: Path, drawn: dict[str, Figure]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in drawn]
    for path, figure in zip(paths, drawn.values(), strict=True):
        figure.savefig(path, dpi=DOTS_PER_INCH)
    return paths
