"""A sweep that was submitted with `ray job submit`: what is relative to its folder is lost when Ray deletes that."""

from __future__ import annotations

import os

from adcore.errors import UserError
from sweeps.engine.machine.commands import FROM_PYTHON, SUBMIT
from sweeps.engine.machine.locations import SQLITE
from sweeps.engine.planning.run_settings import RunSettings

__all__ = ["check_job"]

#: Set by Ray for the entrypoint of a job, and for no other process.
IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def check_job(settings: RunSettings, script: str, *, is_complete: bool = True) -> None:
    """Raises UserError within a Ray job for places in its own folder, a package that Ray deletes, and for a second Ray.

    script: its name, for the command that works. is_complete: whether the settings are all known; those that a record
    holds are not before it is read.
    """
    if IN_JOB not in os.environ or settings.plan:
        return
    corrections: dict[str, str] = {}
    if _is_relative(settings.storage):
        corrections[f"--storage {settings.storage}"] = "--storage /FOLDER/OF/ALL/NODES"
    if settings.checkpoints and "://" not in settings.checkpoints and _is_relative(settings.checkpoints):
        corrections[f"--checkpoints {settings.checkpoints}"] = "--checkpoints /OTHER/FOLDER/OF/ALL/NODES"
    if is_complete and settings.tracking_uri.startswith(SQLITE) and not settings.tracking_uri.startswith(f"{SQLITE}/"):
        corrections[f"--tracking-uri {settings.tracking_uri}"] = (
            f"--tracking-uri {SQLITE}/FOLDER/OF/ALL/NODES/mlflow.db"
        )
    if is_complete and settings.address == "local":
        corrections["--address local"] = "--address auto"
    if corrections:
        expected = " ".join(corrections.values())
        if script != FROM_PYTHON:
            expected = f"`{SUBMIT} sweeps/{script}.py ... {expected}`"
        raise UserError(
            f"{', '.join(corrections)}: within a Ray job, files in its folder are deleted, and a second Ray would "
            f"start beside the cluster; expected {expected}"
        )


def _is_relative(folder: str) -> bool:
    return not os.path.isabs(os.path.expanduser(folder))
