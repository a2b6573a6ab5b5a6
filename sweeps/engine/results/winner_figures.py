"""The winner's models on single images: thresholds, decisions and figures, for MLflow and the sweep's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adcore.datasets import ImageDataset, remember
from adcore.train.build import load_detector
from sweeps.engine.machine.resources import Resources
from sweeps.engine.machine.shared_storage import require_seen
from sweeps.engine.machine.storage import storage
from sweeps.engine.machine.workers import on_workers
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.trial import limit_process
from sweeps.engine.tracking.events import Tracking

__all__ = ["assess_models", "inspect_model"]

#: By class: its metrics by name, and the files of its figures.
Assessed = dict[int, tuple[dict[str, float], list[Path]]]


def inspect_model(
    paths: Sequence[Path],
    configuration: int,
    *,
    train: ImageDataset,
    test: ImageDataset,
    tracking: Tracking,
    home: SweepHome,
    resources: Resources,
) -> None:
    """Assess the models in checkpoints of the confirmation, and tell MLflow. Raises StorageError."""
    with storage(home.folder):
        call = paths, train, test, home, resources.shares_beside_training
        [(_, (seed, found))] = on_workers(assess_models, {configuration: call}, resources)
    for index, (metrics, files) in found.items():
        tracking.assessed("confirm", configuration, seed, index, metrics, files)


def assess_models(
    paths: Sequence[Path], train: ImageDataset, test: ImageDataset, home: SweepHome, shares: dict[str, Any]
) -> tuple[int, Assessed]:
    """Assess the models in checkpoints and draw their figures; returns their training seed too. Runs on a worker.

    Raises OSError if a file cannot be written.
    """
    from adcore.evaluation.assessment import assess
    from adcore.evaluation.assessment_figures import write_figures
    from adcore.train import checkpoints
    from adcore.train.build import training_device
    from adcore.train.reports import history_of

    require_seen(home.token)
    limit_process(**shares)
    remember(train.info)
    config, detector = load_detector(paths, test.channels)
    detector.to(training_device())
    history = history_of([state for path in paths for state in checkpoints.read(path)])
    assessed: Assessed = {}
    for index, found in assess(detector, config, train, test).items():
        files = write_figures(home.figures / f"class-{index}", found, detector, test, history)
        assessed[index] = found.metrics(), files
    return config.train_seed, assessed
