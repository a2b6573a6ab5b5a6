"""SweepHome: a sweep's own folder, and every path in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adcore.errors import UserError, unknown_name
from sweeps.engine.storage.object_store import ObjectStore

__all__ = ["RECORD", "SweepHome", "unknown_sweep"]

#: Name of the record in a sweep's folder.
RECORD = "study.db"


def unknown_sweep(name: str, names: Sequence[str], storage: Path) -> UserError:
    """The error for a sweep that is not among those in a storage folder."""
    return unknown_name("sweep", name, names) if names else UserError(f"unknown sweep {name!r}: {storage} has no sweep")


class SweepHome:
    """The folder of a sweep, which has its name.

    record: the Optuna study from which everything is rebuilt. lock: held by the driver that works on the sweep.
    checkpoints: the folder of all checkpoints. table: a row per configuration. results: all figures of a finished
    sweep, as JSON. figures: the folder of single models' figures. report: all of that as one HTML file. test_scores:
    the folder of the test scores, while the test part is open. ray: what Ray Tune writes. token: a file that every node
    of a cluster has to see, while the sweep runs on one. store: holds the checkpoints in place of the folder, and
    copies of the rest.
    """

    def __init__(self, folder: Path, store: ObjectStore | None = None) -> None:
        self.folder, self.name, self.store = folder, folder.name, store
        self.record, self.lock = folder / RECORD, folder / ".lock"
        self.checkpoints, self.ray = folder / "checkpoints", folder / "ray"
        self.table, self.results = folder / "results.csv", folder / "results.json"
        self.figures = folder / "figures"
        self.report = folder / "report.html"
        self.test_scores = folder / "test-scores"
        self.token: Path | None = None

    def key(self, path: Path) -> str:
        """The name that a file of the folder has in the store."""
        return path.relative_to(self.folder).as_posix()

    def place(self, path: Path) -> str:
        """Where a checkpoint really is, for messages."""
        return self.store.place(self.key(path)) if self.store else str(path)

    @property
    def has_record(self) -> bool:
        """Whether there is a record."""
        return self.record.exists()

    def existing_results(self) -> list[str]:
        """The names of the result files that exist, without the report."""
        models = sorted(self.folder.glob("model-*"))
        files = (self.results, self.table, *self.class_figures(), self.figures, *models)
        return [path.name for path in files if path.exists()]

    def model(self, configuration: int) -> Path:
        """A winner's models as an MLflow model; an extended sweep may have several winners, one after another."""
        return self.folder / f"model-{configuration}"

    def class_figure(self, metric: str) -> Path:
        """The winner's values of a metric by class, as a figure."""
        return self.folder / f"{metric}_by_class.png"

    def class_figures(self) -> list[Path]:
        """Such figures that exist: of one metric, unless files were copied."""
        return sorted(self.folder.glob("*_by_class.png"))

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
