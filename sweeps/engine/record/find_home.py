"""Find a sweep's folder: the one on record of a sweep that goes on, or that of a new one."""

from __future__ import annotations

import datetime

from adcore.errors import UserError
from sweeps.engine.machine.locations import check_name
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.home import RECORD, SweepHome, unknown_sweep
from sweeps.engine.storage.address import absolute_folder

__all__ = ["default_name", "find_home"]


def default_name(script: str) -> str:
    """The name of a sweep that was given none: script and time."""
    return f"{script}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


def find_home(script: str, settings: RunSettings) -> SweepHome:
    """The sweep's own folder. Raises UserError for a name that is taken, or unknown on resume."""
    try:
        return _find_home(script, settings)
    except OSError as error:  # a name that is too long
        raise UserError(f"--storage {settings.storage!r}: not a usable folder ({error})") from error


def _find_home(script: str, settings: RunSettings) -> SweepHome:
    storage = absolute_folder(settings.storage, "--storage")
    check_name(storage, "--storage")
    if settings.continued_sweep:
        existing_names = sorted(path.parent.name for path in storage.glob(f"*/{RECORD}"))
        if settings.continued_sweep not in existing_names:
            raise unknown_sweep(settings.continued_sweep, existing_names, storage)
        return SweepHome(storage / settings.continued_sweep)
    home = SweepHome(storage / (settings.name or default_name(script)))
    if home.has_record:
        raise UserError(f"sweep {home.name!r} exists in {storage}: give another --name, or --resume {home.name}")
    if other := next((path.name for path in home.folder.glob("*") if not path.name.startswith(".")), None):
        raise UserError(f"--name {home.name}: {home.folder} holds other files ({other}, ...); give another --name")
    return home
