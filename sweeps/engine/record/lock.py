"""One driver per sweep: the lock in its folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from adcore.errors import UserError
from sweeps.engine.record.home import SweepHome

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["check_free", "is_held", "one_driver"]

#: Seconds that a driver waits for the lock: whoever asks `is_held` holds it for a moment.
MOMENT = 0.5


def is_held(home: SweepHome) -> bool:
    """Whether a driver works on the sweep at this moment. Creates nothing. Raises OSError."""
    try:
        lock = os.open(home.lock, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)  # which also gives the lock back
    return False


def check_free(home: SweepHome) -> None:
    """Raises UserError if another process runs the sweep: before data are loaded, which takes a while."""
    with suppress(OSError):  # said by whoever locks it
        if is_held(home):
            raise _running(home)


@contextmanager
def one_driver(home: SweepHome, *, is_new: bool) -> Generator[None]:
    """Hold the sweep's lock. Raises UserError if another driver runs it, or has started it in the meantime.

    A sweep that ends before it has a record leaves nothing behind.
    """
    folder = home.folder
    new_folders = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error.strerror})") from error
    lock = _acquire_lock(home)
    try:
        if is_new and home.has_record:
            raise UserError(f"sweep {home.name!r} exists: give another --name, or --resume {home.name}")
        yield
    finally:
        if not home.has_record:
            home.lock.unlink(missing_ok=True)
            for new_folder in new_folders:
                with suppress(OSError):  # something else was put there in the meantime
                    new_folder.rmdir()
        lock.release()


def _acquire_lock(home: SweepHome) -> BaseFileLock:
    from filelock import FileLock, Timeout

    lock = FileLock(home.lock, timeout=MOMENT)
    try:
        lock.acquire()
    except Timeout:
        raise _running(home) from None
    except OSError as error:
        raise UserError(f"{home.lock}: cannot be locked ({error.strerror}); move it away") from error
    return lock


def _running(home: SweepHome) -> UserError:
    return UserError(f"sweep {home.name!r} is being run by another process; wait for it, or end it")
