"""What the winner's models do on single images: thresholds, decisions and figures, for MLflow and the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from adcore.datasets import ImageDataset
from adcore.imports import large_imports
from adcore.train import load_detector
from sweeps.engine.storage_error import storage
from sweeps.engine.tracking import Tracking

__all__ = ["inspect_model"]


def inspect_model(
    paths: Sequence[Path],
    configuration: int,
    *,
    train: ImageDataset,
    test: ImageDataset,
    tracking: Tracking,
    home: Path,
) -> None:
    """Assess the model in checkpoints of the confirmation, and tell MLflow. Raises StorageError."""
    with large_imports():
        from adcore import checkpoints
        from adcore.assessment import assess
        from adcore.assessment_figures import write_figures
        from adcore.reports import history_of

    config, detector = load_detector(paths, test.channels)
    history = history_of([state for path in paths for state in checkpoints.read(path)])
    detector.to("cuda" if torch.cuda.is_available() else "cpu")
    for index, found in assess(detector, config, train, test).items():
        with storage(home):
            files = write_figures(home / "figures" / f"class-{index}", found, detector, test, history)
        tracking.assessed("confirm", configuration, config.train_seed, index, found.metrics(), files)
