"""SweepHome: a sweep's own folder, and every path in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

__all__ = ["RECORD", "SweepHome"]

#: Name of the record in a sweep's folder.
RECORD = "study.db"


@dataclasses.dataclass(frozen=True)
class SweepHome:
    """The folder of a sweep, which has the sweep's name."""

    folder: Path

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.folder.name

    @property
    def record(self) -> Path:
        """The Optuna study from which everything is rebuilt."""
        return self.folder / RECORD

    @property
    def is_begun(self) -> bool:
        """Whether there is a record."""
        return self.record.exists()

    @property
    def lock(self) -> Path:
        """Held by the driver that works on the sweep."""
        return self.folder / ".lock"

    @property
    def table(self) -> Path:
        """One row per configuration."""
        return self.folder / "results.csv"

    @property
    def results(self) -> Path:
        """All figures of a finished sweep, as JSON."""
        return self.folder / "results.json"

    @property
    def auroc_figure(self) -> Path:
        """The winner's AUROC by class."""
        return self.folder / "auroc_by_class.png"

    @property
    def figures(self) -> Path:
        """The folder of the figures of single models."""
        return self.folder / "figures"

    @property
    def test_scores(self) -> Path:
        """The folder of the test scores, while the test part is open."""
        return self.folder / "test-scores"

    @property
    def checkpoints(self) -> Path:
        """The folder of all checkpoints."""
        return self.folder / "checkpoints"

    @property
    def ray(self) -> Path:
        """The folder of Ray Tune's files."""
        return self.folder / "ray"

    def outbox(self, sweep_id: str) -> Path:
        """The outbox: updates that MLflow has not taken yet."""
        return self.folder / f"mlflow-outbox-{sweep_id[:8]}.db"

    def outboxes(self) -> list[Path]:
        """Every existing outbox."""
        return sorted(self.folder.glob("mlflow-outbox-*.db"))

    def seed_folder(self, configuration: int, seed: int) -> Path:
        """The folder of a configuration's checkpoints with a training seed."""
        return self.checkpoints / f"configuration-{configuration:04d}" / f"seed-{seed}"

    def checkpoint(self, configuration: int, index: int, seed: int) -> Path:
        """The checkpoint of one class; its path does not depend on Ray's trial id."""
        return self.seed_folder(configuration, seed) / f"class-{index}.ckpt"

    def checkpoints_of(self, configuration: int, classes: Sequence[int], seed: int) -> list[Path]:
        """The checkpoints of several classes."""
        return [self.checkpoint(configuration, index, seed) for index in classes]
