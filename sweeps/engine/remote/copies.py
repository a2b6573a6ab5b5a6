"""Copies of a sweep's record in a store: made while it runs, and fetched by a resume on another machine."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from adcore.errors import UserError
from sweeps.engine.record.home import RECORD, SweepHome
from sweeps.engine.remote.one_driver import RemoteDriver, TakenOverError
from sweeps.engine.remote.snapshot import TemporaryFolderError, take_snapshot
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from sweeps.engine.record.attributes import Attributes

__all__ = ["DRIVERS", "RecordCopies", "fetch_record", "holds_record"]

#: The attribute with the tokens of the sessions of all drivers.
DRIVERS = "drivers"
#: The copy: record and outbox in one object, as they were at one moment.
COPY = "record.zip"
#: The files in it, which are all that is taken from it.
IN_COPY = re.compile(rf"{re.escape(RECORD)}|mlflow-outbox-[0-9a-f]{{8}}\.db")
#: Kinds of files with results.
RESULT_KINDS = (".json", ".csv", ".md", ".html", ".png")
#: Seconds between two copies.
EVERY = 30.0


class RecordCopies:
    """Copies record and outbox to the store, and sends this driver's heartbeats. For use by one thread.

    A copy is taken between two events, when record and outbox agree, and travels in a thread. copied_update: the number
    of the last update in the copy that has arrived: MLflow may learn of so many, as a resume from the copy knows no
    others. takeover_error: why this driver must stop, if it must.
    """

    def __init__(self, home: SweepHome, record: Attributes, store: ObjectStore) -> None:
        self.home, self.record, self.store = home, record, store
        self.driver = RemoteDriver(store)
        self.copied_update, self.snapshot_time = 0, 0.0
        self.takeover_error: StorageError | None = None
        self._sent_times: dict[Path, float] = {}  # when result files had been changed, as they were sent
        self._upload: threading.Thread | None = None
        self._last_error: StorageError | None = None
        self._stopped = threading.Event()
        self._heartbeat = threading.Thread(target=self._renew_until_stopped, daemon=True, name="signs-of-life")

    def begin(self) -> None:
        """Take over the sweep: the record and its copy name this session before the driver's object does.

        Raises StorageError.
        """
        self.record.write(DRIVERS, [*(self.record.read(DRIVERS) or []), self.driver.token])
        self._send(self._snapshot())
        self.driver.take()
        self._heartbeat.start()

    def step(self) -> None:
        """Copy if it is time. A failure is reported, and the copy made later; raises `takeover_error`."""
        if self.takeover_error:
            raise self.takeover_error
        is_sending = self._upload is not None and self._upload.is_alive()
        if is_sending or time.monotonic() - self.snapshot_time < EVERY:
            return
        try:
            snapshot = self._snapshot()
        except TemporaryFolderError as error:
            self._report(error)
            return
        self._upload = threading.Thread(target=self._try_to_send, args=[snapshot], daemon=True, name="copies")
        self._upload.start()

    def copy_now(self) -> None:
        """Copy, and wait until it has arrived. Raises StorageError."""
        if self._upload:
            self._upload.join()
        self._renew()
        self._send(self._snapshot())

    def end(self) -> None:
        """Copy once more, with the results, and give the sweep back. Raises StorageError."""
        self.stop()
        self.copy_now()
        for path in self._results():
            if self._sent_times.get(path) != path.stat().st_mtime:
                self.store.put(path, self.home.key(path))
                self._sent_times[path] = path.stat().st_mtime
        self.driver.release()

    def stop(self) -> None:
        """Send no more heartbeats."""
        self._stopped.set()
        if self._heartbeat.is_alive():
            self._heartbeat.join()

    def _renew_until_stopped(self) -> None:
        while not self._stopped.wait(EVERY):
            with contextlib.suppress(StorageError):  # the next copy reports it
                self._renew()

    def _results(self) -> list[Path]:
        files = (*self.home.folder.iterdir(), *self.home.figures.rglob("*"))
        return [path for path in files if path.is_file() and _is_result_name(self.home.key(path))]

    def _snapshot(self) -> tuple[Path, int]:
        self.snapshot_time = time.monotonic()
        return take_snapshot((self.home.record, *self.home.outboxes()), COPY)

    def _try_to_send(self, snapshot: tuple[Path, int]) -> None:
        try:
            self._renew()
            self._send(snapshot)
        except StorageError as error:
            self._report(error)
        else:
            self._last_error = None
        finally:
            shutil.rmtree(snapshot[0].parent, ignore_errors=True)

    def _report(self, error: StorageError) -> None:
        """Say why there is no new copy, unless that of the last one was said."""
        if not self._last_error and not self.takeover_error:
            print(f"the record has no new copy: {error}; tried again every {EVERY:.0f} s", file=sys.stderr)
        self._last_error = error

    def _renew(self) -> None:
        try:
            self.driver.renew()
        except TakenOverError as error:
            self.takeover_error = error
            raise

    def _send(self, snapshot: tuple[Path, int]) -> None:
        archive, last = snapshot
        try:
            self.store.put(archive, COPY)
            self.copied_update = max(self.copied_update, last)
        finally:
            shutil.rmtree(archive.parent, ignore_errors=True)


def holds_record(store: ObjectStore) -> bool:
    """Whether the store of a sweep has a copy of its record. Raises StorageError."""
    return store.holds(COPY)


def fetch_record(home: SweepHome, store: ObjectStore) -> None:
    """Make a sweep's folder from what a store has of it, without its checkpoints.

    The folder appears complete, or not at all. Raises UserError if there is no such sweep.
    """
    place = store.address.for_messages
    try:
        home.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.folder.parent) as scratch:
            new_home = SweepHome(Path(scratch) / home.name)
            archive = Path(scratch) / COPY
            if not store.get(COPY, archive):
                raise UserError(f"--resume {place}: there is no copy of a sweep's record ({COPY})")
            _unpack(archive, new_home.folder, place)
            for name in filter(_is_result_name, store.names()):
                store.get(name, new_home.folder / name)
            new_home.folder.rename(home.folder)
    except StorageError as error:
        raise UserError(f"--resume {place}: {error}") from error
    except OSError as error:
        remedy = "; move that folder away" if home.folder.exists() else ""
        raise UserError(f"{home.folder}: cannot be written ({error.strerror}){remedy}") from error


def _is_result_name(name: str) -> bool:
    """Whether a file of a sweep's folder, by name, is one that a reader of results opens."""
    path = PurePosixPath(name)
    is_top = len(path.parts) == 1 or (path.parts[0] == "figures" and ".." not in path.parts)
    return is_top and not name.startswith(".") and path.suffix in RESULT_KINDS


def _unpack(archive: Path, folder: Path, place: str) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                if IN_COPY.fullmatch(name):
                    packed.extract(name, folder)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise UserError(f"--resume {place}: {COPY} is damaged ({error}); restore an earlier version of it") from error
