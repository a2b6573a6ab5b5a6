"""One driver at a time on the sweeps of a store: an object that the driver writes again and again while it runs.

It protects from a second head that is started while the first one runs, and a head that comes back after another one
took over stops at its next heartbeat. It does not protect from two that start within the same moment: an object
store has no locks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Collection
from typing import Any

from adcore.errors import UserError
from sweeps.engine.remote.processes import id_space, process_runs
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import ObjectStore

__all__ = ["RemoteDriver", "TakenOverError", "check_no_other_driver"]

#: The object, and how the names of those begin that are written to learn the store's time.
DRIVER, CLOCK = ".driver", ".clock-"
#: Seconds without a heartbeat after which a driver counts as dead; those before another one is sure to be alone.
SILENCE, MOMENT = 180.0, 0.5


@dataclasses.dataclass(frozen=True)
class DriverState:
    """The driver that an object names. token: its session's; process: its id in id_space; ended: whether it said so."""

    token: str
    host: str
    id_space: str
    process: int
    ended: bool


class TakenOverError(StorageError):
    """Another driver works on the sweep now."""


class RemoteDriver:
    """This driver's session; safe to use from several threads. Methods raise StorageError.

    token: written to the record and to the object.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store, self.token = store, uuid.uuid4().hex
        self._lock = threading.Lock()  # a folder's files are put in place from one other name

    def take(self) -> None:
        """Write the object. Raises TakenOverError if another driver does so in the same moment."""
        self._write(ended=False)
        time.sleep(MOMENT)
        self.renew()

    def renew(self) -> None:
        """Send a heartbeat. Raises TakenOverError."""
        with self._lock:
            state = _read_state(self.store)
            if state and state.token != self.token:
                raise TakenOverError(f"{self.store.place(DRIVER)}: a driver on {state.host} has taken over this sweep")
            self._write(ended=False)

    def release(self) -> None:
        """Say that the session has ended, so that nobody has to wait."""
        self.renew()
        self._write(ended=True)

    def _write(self, *, ended: bool) -> None:
        state = DriverState(self.token, socket.gethostname(), id_space(), os.getpid(), ended)
        self.store.put_bytes(json.dumps(dataclasses.asdict(state)).encode(), DRIVER)


def check_no_other_driver(store: ObjectStore, name: str, drivers: Collection[str] | None) -> None:
    """Raises UserError if another driver runs the sweep, or if the record here is not the latest.

    drivers: the tokens in the record here; None if there is none.
    """
    try:
        state = _read_state(store)
        if state is None:
            return
        if not state.ended and not _is_dead_here(state) and (age := _age(store)) < SILENCE:
            raise UserError(
                f"sweep {name!r} is run by a driver on {state.host}, which gave a sign of life {age:.0f} s ago; end "
                f"it, or try again {SILENCE:.0f} s after it died"
            )
    except StorageError as error:
        raise UserError(str(error)) from error
    if drivers is not None and state.token not in drivers:
        raise UserError(
            f"sweep {name!r} was continued on {state.host} since: the record in --storage is not the latest; move its "
            f"folder away, then --resume {store.address.for_messages}"
        )


def _read_state(store: ObjectStore) -> DriverState | None:
    """The last driver; None if there was none."""
    stored = store.get_bytes(DRIVER)
    if stored is None:
        return None
    try:
        fields: dict[str, Any] = json.loads(stored)
        host, space = str(fields["host"]), str(fields.get("id_space"))  # earlier versions wrote none
        return DriverState(str(fields["token"]), host, space, int(fields["process"]), bool(fields["ended"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{store.place(DRIVER)}: damaged; delete it if no driver runs this sweep") from error


def _age(store: ObjectStore) -> float:
    """Seconds since the last heartbeat, by the store's clock."""
    probe = f"{CLOCK}{uuid.uuid4().hex}"
    store.put_bytes(probe.encode(), probe)
    now, then = store.modified(probe), store.modified(DRIVER)
    with contextlib.suppress(StorageError):
        store.delete(probe)
    return (now - then).total_seconds() if now and then else SILENCE


def _is_dead_here(state: DriverState) -> bool:
    """Whether it ran on this machine, and has died."""
    return state.id_space == id_space() and not process_runs(state.process)
