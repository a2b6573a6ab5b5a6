"""The winner's models as one model in MLflow's registry."""

from __future__ import annotations

import sys

from adcore.datasets import ImageDataset
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.remote.local_files import fetch_files, local_home
from sweeps.engine.storage.errors import one_line, storage
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.outbox import ModelFolder
from sweeps.engine.tracking.registry import model_name, save_model

__all__ = ["register_winner"]


def register_winner(
    record: SweepRecord, winner: Confirmation, *, home: SweepHome, tracking: Tracking, train: ImageDataset
) -> None:
    """Save the winner's models, of all classes and fresh seeds, and tell MLflow; once. Raises StorageError.

    If MLflow cannot save them, that is printed, and a resume tries again.
    """
    from mlflow.exceptions import MlflowException

    if record.read("registered") == winner.number:
        return
    plan, classes = record.plan, sorted(record.plan.classes)
    try:
        with storage(home.folder), local_home(home) as local:
            paths = [path for seed in winner.by_seed for path in local.checkpoints_of(winner.number, classes, seed)]
            fetch_files(local, paths)
            save_model(home.model(winner.number), paths, train)
    except MlflowException as error:
        print(f"the winner is not registered in MLflow: {one_line(error)}", file=sys.stderr)
        return
    tags = {"sweep": home.name, "configuration": str(winner.number), "scale": plan.scale}
    model = ModelFolder(str(home.model(winner.number)), model_name(plan.script, plan.base.dataset), tags)
    tracking.register_model(winner.number, model, opening=len(record.read("test_openings") or []))
    record.write("registered", winner.number)
