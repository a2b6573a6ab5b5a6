"""Sweeps from Python code, such as a notebook: the engine of the scripts, with exceptions for exit codes."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adcore.errors import UserError, unknown_name
from sweeps.engine import sweep as engine
from sweeps.engine.machine.commands import FROM_PYTHON, LIMITS
from sweeps.engine.machine.environment import environment_kept
from sweeps.engine.machine.interrupt import interruptible
from sweeps.engine.main import search_script
from sweeps.engine.planning.run_settings import RunSettings, check_sweep_name
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Space
from sweeps.engine.record.find_home import default_name
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import is_being_extended
from sweeps.engine.remote.flags import split_address
from sweeps.engine.results.sweep_result import SweepResult, read_result
from sweeps.engine.show.record_file import read_record
from sweeps.engine.show.status import status_of
from sweeps.engine.storage.address import absolute_folder

__all__ = ["SweepFailed", "open_sweep", "sweep"]

#: Flags that print in place of sweeping.
PRINTING = ("plan", "probe")


class SweepFailed(RuntimeError):  # noqa: N818 # what happened, as in SystemExit
    """A sweep ended without being complete. The message says why, and what failed, as the command's last lines do."""


def sweep(space: Space, **settings: Any) -> SweepResult:
    """Search a space, confirm the best, score the test part once; with `resume`, continue such a sweep, with `extend`
    and `configs`, how many in all, add configurations to it.

    settings: the flags of sweeps/gan_loss_weights.py by the names of SweepSettings' fields, such as scale="smoke",
    name, configs, storage, resume. Progress is printed.

    Raises UserError for bad input, before any work; SweepFailed if trainings failed or files could not be written;
    KeyboardInterrupt if it was interrupted: the printed call continues it.
    """
    _check(settings)
    flags = {name: value for name, value in settings.items() if value is not None or name in LIMITS}
    if not flags.keys() & {"name", "resume", "extend"}:
        flags["name"] = default_name(FROM_PYTHON)
    flags = split_address(flags)
    with interruptible() as interrupt, environment_kept():
        code = engine.sweep(search_script(FROM_PYTHON, lambda _: space), flags, interrupt)
    name = next(flags[each] for each in ("resume", "extend", "name") if each in flags)
    home = _home(name, flags.get("storage", RunSettings.storage))
    if code == 0:
        return read_result(home)
    if code == 1:
        raise SweepFailed(_failure_reason(home))
    raise KeyboardInterrupt


def open_sweep(name: str, *, storage: str | Path = RunSettings.storage) -> SweepResult:
    """The result of a finished search in a storage, of a script's or of `sweep`.

    Raises UserError if there is no such sweep, or if it has no results.
    """
    check_sweep_name(name)
    home = _home(name, storage)
    if not home.results.exists() or (home.has_record and is_being_extended(read_record(home.record).attributes)):
        status = status_of(home)
        raise UserError(status.error or f"sweep {name!r} has no results: it is {status.state}; resume it")
    return read_result(home)


def _check(settings: Mapping[str, Any]) -> None:
    names = [field.name for field in dataclasses.fields(SweepSettings) if field.name not in PRINTING]
    for name in settings:
        if name in PRINTING:
            raise UserError(f"{name}: only the scripts print a plan; use sweeps/gan_loss_weights.py --plan")
        if name not in names:
            raise unknown_name("setting", name, names)
    if threading.current_thread() is not threading.main_thread():  # Python handles signals there only
        raise UserError("sweep(): expected the main thread; start a process for it")


def _home(name: str, storage: str | Path) -> SweepHome:
    return SweepHome(absolute_folder(str(storage), "storage") / name)


def _failure_reason(home: SweepHome) -> str:
    """Why a sweep is incomplete, from its record; what it printed says more if that could not be written."""
    try:
        status = status_of(home)
    except UserError as error:  # it ended before it had one
        return str(error)
    lines = [status.reason or status.error or "its files could not be written", *status.failures]
    return "\n".join([f"sweep {home.name!r} is incomplete: {lines[0]}", *(f"  {line}" for line in lines[1:])])
