"""The checkpoints in a sweep's folder: checked, compared with the record, and deleted when unused."""

from __future__ import annotations

import contextlib
import math
import zipfile
from pathlib import Path

from adcore.errors import UserError
from adcore.metric_names import LABELS
from sweeps.engine.record.home import SweepHome

__all__ = ["check_checkpoints", "difference_to_record", "drop_checkpoints"]


def check_checkpoints(home: SweepHome) -> None:
    """Raises UserError for an incomplete checkpoint of a sweep: it was damaged after it had been written."""
    for path in sorted(home.checkpoints.glob("*/*/*.ckpt")):
        if not zipfile.is_zipfile(path):  # torch's format; its directory is at the end of the file
            raise UserError(f"{path}: an incomplete checkpoint; move it away and resume again: its training restarts")


def drop_checkpoints(home: SweepHome, configuration: int, seed: int, *, unfinished: bool) -> None:
    """Delete the checkpoints of a configuration: no training continues from them.

    unfinished: also those that a killed worker left half-written; no trial of the configuration may be running.
    """
    for path in home.seed_folder(configuration, seed).glob("*" if unfinished else "*.ckpt"):
        with contextlib.suppress(OSError):  # one that stays only costs disk space
            path.unlink()


def difference_to_record(path: Path, value: float, metric: str = "auroc") -> str:
    """Why a checkpoint is not the trained model whose last validation value of a metric is on record; "" if it is."""
    from adcore.train import checkpoints

    if not path.exists():
        return "no such file"
    try:
        states = checkpoints.read(path, mapped=True)
    except UserError as error:
        return f"not a checkpoint ({error})"
    if len(states) != 1:
        return f"a checkpoint of {len(states)} models"
    [state] = states
    if not state.finished:
        return f"trained for {state.epoch} of {state.config.epochs} epochs"
    found = state.history[-1][f"val_{metric}"]
    is_same = found == value or (math.isnan(found) and math.isnan(value))
    return "" if is_same else f"validation {LABELS[metric]} {found:.6f} there, {value:.6f} on record"
