"""--checkpoints and --resume ADDRESS: the store of a sweep, checked, and its record copied here if it is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adcore.errors import UserError
from adcore.files import check_writable
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.resume import read_attribute
from sweeps.engine.remote.copies import DRIVERS, fetch_record, holds_record
from sweeps.engine.remote.one_driver import check_no_other_driver
from sweeps.engine.storage.address import absolute_folder, split_name
from sweeps.engine.storage.check import open_store
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import ObjectStore

__all__ = ["fetch_missing_record", "shared_folder", "split_address", "store_of"]


def split_address(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags, with --resume s3://BUCKET/PREFIX/NAME as --checkpoints s3://BUCKET/PREFIX --resume NAME; so --extend.

    Raises UserError for two addresses that differ.
    """
    for flag in ("resume", "extend"):
        if "://" in (flags.get(flag) or ""):
            place, name = split_name(flags[flag])
            if flags.get("checkpoints", place) != place:
                raise UserError(f"--{flag} {flags[flag]} and --checkpoints {flags['checkpoints']}: give one address")
            flags = {**flags, flag: name, "checkpoints": place}
    return flags


def fetch_missing_record(settings: RunSettings) -> None:
    """Copy the record of a sweep that is continued from --checkpoints to --storage, if missing. Raises UserError."""
    if not (settings.checkpoints and settings.continued_sweep):
        return
    storage = absolute_folder(settings.storage, "--storage")
    home = SweepHome(storage / settings.continued_sweep)
    if home.has_record:
        return
    if settings.plan:
        raise UserError(
            f"--plan: the record of {settings.continued_sweep} is not in {storage}; --resume brings it there"
        )
    check_writable(storage, f"--storage {settings.storage!r}")
    store = open_store(settings.checkpoints).below(home.name)
    check_no_other_driver(store, home.name, None)
    fetch_record(home, store)


def shared_folder(home: SweepHome) -> Path | None:
    """The folder that all nodes of a cluster have to share; None if an object store takes its place."""
    if home.store is None:
        return home.folder
    return None if home.store.address.scheme else Path(home.store.address.path).parent


def store_of(settings: RunSettings, home: SweepHome) -> ObjectStore | None:
    """The store for the checkpoints of a sweep; None if they lie beside the record.

    Raises UserError if it cannot be used, if another driver runs the sweep, or if it has another sweep of this name.
    """
    if not settings.checkpoints:
        return None
    store = open_store(settings.checkpoints).below(home.name)
    drivers = read_attribute(home, DRIVERS, []) if home.has_record else None
    check_no_other_driver(store, home.name, drivers)
    try:
        is_taken = not home.has_record and holds_record(store)
    except StorageError as error:
        raise UserError(str(error)) from error
    if is_taken:
        raise UserError(
            f"sweep {home.name!r} exists in {settings.checkpoints}: give another --name, or --resume "
            f"{store.address.for_messages}"
        )
    return store
