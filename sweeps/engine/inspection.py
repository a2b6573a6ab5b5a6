"""What the winner's models do on single images: thresholds, decisions and figures, for MLflow and the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adcore import checkpoints
from adcore.assessment import assess
from adcore.assessment_figures import write_figures
from adcore.datasets import ImageDataset
from adcore.detectors import Detector
from sweeps.engine.storage_error import storage
from sweeps.engine.tracking import Tracking

__all__ = ["Inspect", "inspection"]

#: Called with a model's configuration, seed, checkpoint, network and the test part, while that is open.
Inspect = Callable[[int, int, Path, Detector, ImageDataset], None]


def inspection(configuration: int, seed: int, *, tracking: Tracking, home: Path, data: ImageDataset) -> Inspect:
    """What assesses the models of one configuration and seed. data: the train part, for thresholds."""

    def inspect(number: int, of_seed: int, path: Path, detector: Detector, test_part: ImageDataset) -> None:
        if (number, of_seed) != (configuration, seed):
            return
        config, history, _ = checkpoints.read(path)
        for index, found in assess(detector, config, data, test_part).items():
            with storage(home):
                files = write_figures(home / "figures" / f"class-{index}", found, detector, test_part, history)
            tracking.assessed("confirm", number, seed, index, found.metrics(), files)

    return inspect
