"""Check MLflow when a sweep starts: its address before anything is loaded, the sweep's runs before training."""

from __future__ import annotations

import contextlib
import sqlite3
import sys

import click

from adcore.errors import UserError
from sweeps.engine.machine.locations import SQLITE, database_path
from sweeps.engine.machine.system_metrics import check_system_metrics
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.storage.errors import StorageError, check_database
from sweeps.engine.tracking.api import check_api
from sweeps.engine.tracking.artifacts import check_artifacts
from sweeps.engine.tracking.store import check_tracking_uri
from sweeps.engine.tracking.variables import ignored_variables

__all__ = ["check_mlflow", "check_outboxes", "check_tracking"]

WAITS = "continuing without it: updates for MLflow wait on disk"


def check_tracking(settings: RunSettings, experiment: str, *, is_named: bool) -> None:
    """Raises UserError for an address that cannot be used; a resumed sweep can wait for its own server. Also if
    --system-metrics cannot measure.

    is_named: whether the address was given on the command line.
    """
    if settings.system_metrics:
        check_system_metrics()
    if line := ignored_variables(settings.tracking_uri, is_named=is_named):
        click.echo(line, err=True)
    try:
        check_tracking_uri(settings.tracking_uri)
        if not settings.tracking_uri.startswith(SQLITE):
            check_api(settings.tracking_uri, experiment)
    except UserError as error:
        if not settings.resume or is_named or not settings.tracking_uri.startswith("http"):
            raise
        click.echo(f"{error}; {WAITS}", err=True)
    if settings.tracking_uri.startswith(SQLITE):
        check_artifacts(database_path(settings.tracking_uri), experiment)


def check_outboxes(home: SweepHome) -> None:
    """Raises UserError for a damaged outbox."""
    for path in home.outboxes():
        try:
            check_database(path)
        except sqlite3.Error as error:
            raise UserError(
                f"{path}: damaged or in use ({error}); restore it from a copy, or move it away and resume again: "
                "MLflow may then miss its updates, the record does not"
            ) from error


def check_mlflow(settings: RunSettings, experiment: str, home: SweepHome) -> None:
    """Raises UserError if MLflow cannot be used, or lacks the sweep's runs; a resumed sweep can wait for its server."""
    uri = settings.tracking_uri
    try:
        _require_runs(uri, experiment, home)
    except (UserError, StorageError):
        raise
    except Exception as error:  # MLflow, requests, SQLAlchemy and sqlite3 each have their own
        line = f"--tracking-uri {uri}: {' '.join(str(error).split()) or type(error).__name__}"
        if not settings.resume or not uri.startswith("http"):
            raise UserError(line) from error
        print(f"{line}; {WAITS}", file=sys.stderr)


def _require_runs(uri: str, experiment: str, home: SweepHome) -> None:
    from sweeps.engine.record.study import open_study
    from sweeps.engine.tracking.outbox import Outbox
    from sweeps.engine.tracking.runs import require_known_runs
    from sweeps.engine.tracking.store import connect

    if not home.has_record:
        connect(uri, experiment)
        return
    sweep_id = open_study(home.record, create=False).user_attrs["sweep_id"]
    with contextlib.closing(Outbox(home.outbox(sweep_id))) as outbox:
        require_known_runs(uri, experiment, sweep_id, outbox)
