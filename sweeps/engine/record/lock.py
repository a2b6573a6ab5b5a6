"""One driver per sweep: the lock in its folder."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from adcore.errors import UserError
from sweeps.engine.record.home import SweepHome

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["one_driver"]


@contextmanager
def one_driver(home: SweepHome, *, is_new: bool) -> Generator[None]:
    """Hold the sweep's lock. Raises UserError if another driver runs it, or has started it in the meantime.

    A sweep that ends before it has a record leaves nothing behind.
    """
    folder = home.folder
    created = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error.strerror})") from error
    lock = _locked(home)
    try:
        if is_new and home.is_begun:
            raise UserError(f"sweep {home.name!r} exists: give another --name, or --resume {home.name}")
        yield
    finally:
        if not home.is_begun:
            home.lock.unlink(missing_ok=True)
            for each in created:
                with suppress(OSError):  # something else was put there in the meantime
                    each.rmdir()
        lock.release()


def _locked(home: SweepHome) -> BaseFileLock:
    from filelock import FileLock, Timeout

    lock = FileLock(home.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"sweep {home.name!r} is being run by another process; wait for it, or end it") from None
    except OSError as error:
        raise UserError(f"{home.lock}: cannot be locked ({error.strerror}); move it away") from error
    return lock
