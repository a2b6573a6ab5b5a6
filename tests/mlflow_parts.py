"""What tests of MLflow's updates share: the metrics of an epoch, a writer of a sweep, the runs that it has made."""

from __future__ import annotations

from sweeps.engine.tracking.outbox import Outbox
from sweeps.engine.tracking.writer import MlflowWriter
from tests.sweep_process import MlflowRuns

__all__ = ["CLASSES", "EXPERIMENT", "report", "runs_of", "writer_of"]

CLASSES = (0, 3, 6)
#: The experiment of these sweeps.
EXPERIMENT = "test"


def report(epoch: int, **aurocs: float) -> dict[str, float]:
    """An epoch's metrics, as train() reports them: aurocs by class, c0=0.9."""
    values = {int(name[1:]): value for name, value in aurocs.items()}
    losses = {f"loss_abc_{index}": index + 0.5 for index in values}
    own = {f"val_auroc_{index}": value for index, value in values.items()}
    own |= {f"val_ap_normal_{index}": value / 2 for index, value in values.items()}
    return {
        "epoch": float(epoch),
        "images_per_second": 100.0,
        "val_auroc_mean": 0.0,
        "val_ap_normal_mean": 0.0,
        **own,
        **losses,
    }


def writer_of(uri: str, sweep_id: str, outbox: Outbox) -> MlflowWriter:
    """A writer that delivers at once."""
    return MlflowWriter(uri, EXPERIMENT, sweep_id, outbox, period=0.05)


def runs_of(uri: str, sweep_id: str) -> MlflowRuns:
    """A sweep's runs."""
    return MlflowRuns(uri, EXPERIMENT, sweep_id)
