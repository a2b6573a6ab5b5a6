"""The checkpoints of a sweep: checked, compared with the record, and deleted when unused."""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from adcore.errors import UserError
from adcore.metric_names import LABELS
from sweeps.engine.record.home import SweepHome
from sweeps.engine.storage.errors import StorageError, one_line
from sweeps.engine.storage.object_store import NO_ACCESS

if TYPE_CHECKING:
    from adcore.train.member_state import MemberState

__all__ = ["check_checkpoints", "delete_checkpoint", "differences_to_record", "drop_checkpoints", "read_model"]

#: Objects of a store that are read at a time.
AT_A_TIME = 16


def check_checkpoints(home: SweepHome) -> None:
    """Raises UserError for an incomplete checkpoint of a sweep: it was damaged after it had been written."""
    for path in sorted(home.checkpoints.glob("*/*/*.ckpt")):
        if not zipfile.is_zipfile(path):  # torch's format; its directory is at the end of the file
            raise UserError(f"{path}: an incomplete checkpoint; move it away and resume again: its training restarts")


def drop_checkpoints(home: SweepHome, configuration: int, seed: int, *, unfinished: bool, thread: Executor) -> None:
    """Delete the checkpoints of a configuration: no training continues from them.

    unfinished: also those that a killed worker left half-written; no trial of the configuration may be running. thread:
    deletes those in a store, as no trial should wait for that.
    """
    folder = home.seed_folder(configuration, seed)
    if home.store:
        thread.submit(home.store.delete_folder, home.key(folder))  # one that stays only costs space
        return
    for path in folder.glob("*" if unfinished else "*.ckpt"):
        with contextlib.suppress(OSError):  # one that stays only costs disk space
            path.unlink()


def delete_checkpoint(home: SweepHome, path: Path) -> None:
    """Delete a checkpoint: its training starts again. Raises StorageError, or OSError."""
    if home.store:
        home.store.delete(home.key(path))
    else:
        path.unlink(missing_ok=True)


def differences_to_record(home: SweepHome, values: Mapping[Path, float], metric: str = "auroc") -> dict[Path, str]:
    """By checkpoint, why it is not the trained model whose last value of a validation metric is given.

    Without those that are.

    Raises StorageError.
    """
    if home.store:
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            reasons = list(pool.map(_difference, repeat(home), values.keys(), values.values(), repeat(metric)))
    else:
        reasons = [_difference(home, path, value, metric) for path, value in values.items()]
    return {path: reason for path, reason in zip(values, reasons, strict=True) if reason}


def read_model(home: SweepHome, path: Path) -> MemberState:
    """The model of a checkpoint; of one in a store, its configuration and history alone.

    Raises UserError if there is none, StorageError if the store cannot be read.
    """
    states = _read(home, path)
    if not states:
        raise UserError(f"{home.place(path)}: no such file")
    return states[0]


def _difference(home: SweepHome, path: Path, value: float, metric: str) -> str:
    try:
        states = _read(home, path)
    except UserError as error:
        return f"not a checkpoint ({error})"
    if states is None:
        return "no such file"
    if len(states) != 1:
        return f"a checkpoint of {len(states)} models"
    [state] = states
    if not state.finished:
        return f"trained for {state.epoch} of {state.config.epochs} epochs"
    value_there = state.history[-1][f"val_{metric}"]
    is_same = value_there == value or (math.isnan(value_there) and math.isnan(value))
    return "" if is_same else f"validation {LABELS[metric]} {value_there:.6f} there, {value:.6f} on record"


def _read(home: SweepHome, path: Path) -> list[MemberState] | None:
    """The models of a checkpoint; None if there is none."""
    from adcore.train import checkpoints

    if not home.store:
        return checkpoints.read(path, mapped=True) if path.exists() else None
    with home.store.reading(home.key(path)) as file:
        try:
            return checkpoints.read_facts(file, home.place(path)) if file else None
        except UserError as error:
            if isinstance(error.__cause__, OSError):
                raise StorageError(f"{home.place(path)}: {NO_ACCESS} ({one_line(error.__cause__)})") from error
            raise
