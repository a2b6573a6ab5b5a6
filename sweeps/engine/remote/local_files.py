"""A sweep's files where a process works on them: in its folder, or in a temporary one beside a store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from adcore.errors import UserError
from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.processes import id_space, process_runs

__all__ = ["fetch_files", "local_home", "temporary_folder", "upload_files"]


@contextmanager
def local_home(home: SweepHome) -> Generator[SweepHome]:
    """A folder with the sweep's paths on this machine: its own, or a temporary one if there is a store."""
    if home.store is None:
        yield home
        return
    place = temporary_folder()
    try:
        yield SweepHome(place / home.name, home.store)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def temporary_folder() -> Path:
    """A new folder for temporary files, which the caller removes; those of this machine's killed processes are removed
    here. Raises OSError."""
    prefix = f"adsweep-{id_space()}-"
    _remove_leftovers(Path(tempfile.gettempdir()), prefix)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))


def fetch_files(home: SweepHome, paths: Iterable[Path], *, missing_ok: bool = False) -> None:
    """Copy files of the sweep from the store, if there is one, to these paths.

    Raises StorageError, and UserError for one that is not there.
    """
    for path in paths:
        if home.store and not home.store.get(home.key(path), path) and not missing_ok:
            raise UserError(f"{home.place(path)}: no such file")


def upload_files(home: SweepHome, paths: Iterable[Path]) -> list[str]:
    """Copy files to the store, if there is one; returns their names within the sweep's folder. Raises StorageError."""
    names = {home.key(path): path for path in paths}
    for name, path in names.items():
        if home.store:
            home.store.put(path, name)
    return list(names)


def _remove_leftovers(folder: Path, prefix: str) -> None:
    """Delete what processes of this machine that were killed have left."""
    for path in folder.glob(f"{prefix}*"):
        number = path.name.removeprefix(prefix).partition("-")[0]
        if number.isdecimal() and not process_runs(int(number)):
            shutil.rmtree(path, ignore_errors=True)
