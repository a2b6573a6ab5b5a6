"""The function that a Ray worker runs for a baseline: train, choose thresholds on validation, score the test part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adcore.datasets import ImageDataset
from sweeps.engine.machine.shared_storage import require_visible
from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.local_files import local_home, upload_files
from sweeps.engine.search.trial import limit_process, parts_of
from sweeps.engine.search.trial_checkpoints import trial_checkpoints

if TYPE_CHECKING:
    from adcore.config import TrainConfig
    from adcore.evaluation.assessment import Assessment
    from adcore.train.pack import Pack

__all__ = ["run_baseline"]

#: Train and test part of each data set.
Parts = Mapping[str, tuple[ImageDataset, ImageDataset]]


def run_baseline(config: dict[str, Any], *, parts: Parts, home: SweepHome, threads: int, gpus: float) -> None:
    """Train and report to Tune after each epoch, and once more with the model's figures, under "result" as JSON.

    Nothing is chosen on the test part: a baseline has fixed settings. A training that diverges, or whose scores are not
    finite, has no result. A fold's model is scored on its held-out images, not on the test part.
    """
    from ray import tune

    from adcore.train import train

    require_visible(home.token)
    limit_process(threads, gpus)
    [part] = parts_of(config)
    train_config, (train_part, test_part) = part.config, parts[part.config.dataset]

    def report(metrics: dict[str, float], **result: str) -> None:
        epoch = {"metrics": json.dumps([metrics]), "images_per_second": metrics["images_per_second"]}
        tune.report({**epoch, **result})

    with trial_checkpoints(home, [part.training_key]) as checkpoints:
        outcome = train(train_config, report, data=train_part, checkpoints=checkpoints)
    if outcome.state == "diverged":
        return
    if train_config.fold is None:
        with local_home(home) as local:
            folder = local.figures / f"configuration-{part.configuration:04d}" / f"seed-{train_config.train_seed}"
            scored = _score_test(outcome.detector, train_config, train_part, test_part, outcome.history, folder)
            if scored is None:
                return
            metrics, figures = scored[0], upload_files(local, scored[1])
    else:
        metrics, figures = {"val_accuracy": _held_out_accuracy(outcome.detector, train_config, train_part)}, []
    result = {"metrics": metrics, "seconds": outcome.seconds, "figures": figures}
    report(outcome.history[-1], result=json.dumps(result))


def _score_test(
    detector: Pack,
    config: TrainConfig,
    train_part: ImageDataset,
    test_part: ImageDataset,
    history: list[dict[str, float]],
    folder: Path,
) -> tuple[dict[str, float], list[Path]] | None:
    """The model's metrics and its figures' files; None if a score is not finite."""
    from adcore.evaluation.assessment import assess
    from adcore.evaluation.assessment_figures import write_figures

    [(index, assessment)] = assess(detector, config, train_part, test_part).items()
    if not assessment.decisions:
        return None
    files = write_figures(folder / f"class-{index}", assessment, detector, test_part, history)
    return assessment.metrics() | {"test_auroc_of_decisions": _auroc_of_decisions(assessment)}, files


def _auroc_of_decisions(assessment: Assessment) -> float:
    """AUROC of hard labels, (TPR + TNR) / 2: by two scores if there are, else at the best validation threshold."""
    from adcore.evaluation.assessment import TWO_SCORES

    decisions = assessment.decisions
    normal, anomalous = (decisions.get(TWO_SCORES) or decisions["most correct"]).confusion
    return float(normal[0] / normal.sum() + anomalous[1] / anomalous.sum()) / 2


def _held_out_accuracy(detector: Pack, config: TrainConfig, train_part: ImageDataset) -> float:
    """Accuracy of a supervised detector's decisions, logit >= 0, on the fold that it was not fitted on."""
    from adcore.protocols.definitions import validation_images
    from adcore.thresholds import at_threshold
    from adcore.train.batch_scores import anomaly_scores
    from adcore.train.build import split_train

    held_out = split_train(config, train_part.labels).validation
    images, labels = train_part.images[held_out], train_part.labels[held_out]
    shown, anomalous = validation_images(labels, config.exposure, config.classes[0], config.split_seed)
    scores = anomaly_scores(detector, images, mirrored=config.mirrored_scores)[:, 0]
    return at_threshold(scores[shown], anomalous[shown], 0.0)["accuracy"]
