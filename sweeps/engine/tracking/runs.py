"""The runs that a sweep has in MLflow, found by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adcore.errors import UserError
from sweeps.engine.tracking.outbox import Outbox
from sweeps.engine.tracking.store import connect, is_gone

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

__all__ = ["KEY_TAG", "is_deleted", "require_known_runs", "runs_of_sweep"]

#: Tag that identifies a run: its key within the sweep whose id is in the tag sweep_id.
KEY_TAG = "sweep_key"


def runs_of_sweep(client: MlflowClient, experiment_id: str, sweep_id: str) -> list[Run]:
    """All runs of a sweep in an experiment, deleted ones as well."""
    from mlflow.entities import ViewType

    runs, token = [], None
    while True:
        page = client.search_runs([experiment_id], f"tags.sweep_id = '{sweep_id}'", ViewType.ALL, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def is_deleted(run: Run) -> bool:
    """Whether it was deleted; it can still be restored."""
    return bool(run.info.lifecycle_stage == "deleted")


def require_known_runs(uri: str, experiment: str, sweep_id: str, outbox: Outbox) -> None:
    """Raises UserError if runs that the outbox knows are not at `uri`: they are in another MLflow, or gone for good.

    Nothing is created there before that is known. Raises what `connect` raises.
    """
    missing = known = set(outbox.runs().values())
    if not known or not is_gone(uri):
        client, experiment_id = connect(uri, experiment)
        missing = known - {run.info.run_id for run in runs_of_sweep(client, experiment_id, sweep_id)}
    if missing:
        raise UserError(
            f"--tracking-uri {uri}: {len(missing)} of this sweep's {len(known)} runs are not there; give the address "
            f"of the MLflow that has them, or move {outbox.path} away: then this one gets only later updates"
        )
