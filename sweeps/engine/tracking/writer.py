"""Delivers the outbox to MLflow from a background thread, one batch per run touched, so that no trial waits for it."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from adcore.errors import UserError
from sweeps.engine.storage.errors import StorageError, innermost
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.runs import RunWriter
from sweeps.engine.tracking.store import connect, is_gone, require_database
from sweeps.engine.tracking.view import view_key, view_link

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = ["MOST", "PATIENCE", "MlflowWriter"]

#: Updates that are taken from the outbox at a time: those of the same run among them become one batch.
CHUNK = 5000
#: Delivered updates that are dropped from it at a time: if the driver is killed, so many are delivered twice.
DROPPED = 100
#: Seconds between two tries while closing, and characters of the longest reason that is shown.
PAUSE, REASON = 1.0, 250
#: Seconds that a writer takes to close at most: while MLflow takes nothing, and in all.
PATIENCE, MOST = 30.0, 300.0


class MlflowWriter:
    """A thread that delivers an outbox, in order. Runs of earlier sessions are continued.

    What cannot be delivered stays in the outbox and is retried; what MLflow refuses is retried in the next session. A
    sweep never waits for it. Delivering twice does no harm, whether or not the first time failed: runs are found by
    their key, and MLflow itself drops a metric that it has with the same step and time.
    until: returns the number of the last update that may be delivered now; None for all.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        sweep_id: str,
        outbox: Outbox,
        *,
        period: float = 3.0,
        until: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.uri, self.experiment, self.period, self.until = uri, experiment, period, until
        self.outbox = outbox
        self.wake = threading.Event()
        self.patience: float | None = None  # set when closing
        self.most = 0.0
        self.closed_at = self.taken_at = 0.0  # when it was closed, and when MLflow last took something
        self.error: Exception | None = None  # of the last delivery, None if it succeeded
        self.has_failed = False  # a request that was given up may still have been carried out
        self.client: MlflowClient | None = None
        self.experiment_id = ""
        self.run_writer = RunWriter(sweep_id, outbox)
        self.thread = threading.Thread(target=self._deliver_until_closed, name="mlflow-writer", daemon=True)
        self.thread.start()

    def close(self, *, patience: float = PATIENCE, most: float = MOST) -> bool:
        """Deliver what is left; False if MLflow takes nothing for `patience` seconds, or not all in `most`."""
        self.closed_at, self.most, self.patience = time.monotonic(), most, patience
        self.wake.set()
        while self.thread.is_alive() and (left := self._deadline() + 5 - time.monotonic()) > 0:
            self.thread.join(left)
        return self.is_done and not self.thread.is_alive()

    def abandon(self) -> None:
        """Mark the runs under way as killed and deliver nothing more: the outbox was removed. Never raises an error."""
        self.patience = 0.0
        self.wake.set()
        self.thread.join(30)  # a run that it makes later would stay as it is
        with suppress(Exception):
            require_database(self.uri)
            from mlflow.tracking import MlflowClient

            client = MlflowClient(self.uri)
            for run_id in self.run_writer.unfinished_run_ids():
                client.set_terminated(run_id, "KILLED")

    @property
    def is_done(self) -> bool:
        """Whether MLflow has taken everything."""
        with suppress(StorageError):
            return not len(self.outbox)
        return False

    def link(self, name: str) -> str:
        """The address of the sweep's table in MLflow; "" as long as MLflow was not reached. name: of the sweep."""
        key = view_key(name, self.run_writer.sweep_id)
        return view_link(self.uri, self.experiment_id, key) if self.experiment_id else ""

    @property
    def lacks_runs(self) -> bool:
        """Whether runs of the sweep no longer exist: a resume with this outbox and this MLflow is refused."""
        return bool(self.run_writer.lost_keys or (is_gone(self.uri) and self.outbox.runs()))

    @property
    def reason(self) -> str:
        """Why not everything was delivered, in one line."""
        uncopied = {Path(path).name: reason for path, reason in self.run_writer.copy_errors.items()}
        refused = [f"{name}: {reason}" for name, reason in {**self.run_writer.refusals, **uncopied}.items()]
        if isinstance(self.error, UserError) and not refused:
            return str(self.error)
        text = "; ".join(refused[:3]) or (innermost(self.error) if self.error else "there was not enough time")
        return textwrap.shorten(text, REASON, placeholder=" ...")

    def _deadline(self) -> float:
        """When a writer that is closing gives up."""
        return min(max(self.closed_at, self.taken_at) + (self.patience or 0.0), self.closed_at + self.most)

    def _deliver_until_closed(self) -> None:
        while True:
            is_closing = self.patience is not None
            try:
                is_empty = self._deliver()
                self.error = None
            except Exception as error:
                self.error, self.client, self.has_failed, is_empty = error, None, True, False
            if is_closing and (is_empty or time.monotonic() > self._deadline()):
                return
            if is_closing:
                time.sleep(PAUSE)
            else:
                self.wake.wait(self.period)

    def _deliver(self) -> bool:
        """Deliver all that MLflow takes; True when that was done."""
        require_database(self.uri)
        client, last = self._connect(), 0
        while queued := self.outbox.oldest(CHUNK, after=last, until=self.until()):
            last = queued[-1][0]
            self._deliver_merged(client, queued)
        if self.has_failed and self.patience is not None:  # once more at the end: a late create may have doubled a run
            self.run_writer.find(client, self.experiment_id)
        return True

    def _deliver_merged(self, client: MlflowClient, queued: Sequence[tuple[int, RunUpdate]]) -> None:
        """Deliver the updates of each run as one, parents first, and each model by itself.

        What was taken is dropped, also if a later one fails.
        """
        numbers: dict[tuple[str, int], list[int]] = {}
        merged: dict[tuple[str, int], RunUpdate] = {}  # parents were put before their children
        for number, update in queued:
            key = update.key, number if update.model else 0
            numbers.setdefault(key, []).append(number)
            if key in merged:
                merged[key].merge(update)
            else:
                merged[key] = update
        delivered: list[int] = []
        try:
            for key, update in merged.items():
                if self.run_writer.try_write(client, update, self.experiment_id):
                    delivered += numbers[key]
                    self.taken_at = time.monotonic()
                if len(delivered) >= DROPPED:
                    self.outbox.drop(delivered)
                    delivered = []
        finally:
            self.outbox.drop(delivered)

    def _connect(self) -> MlflowClient:
        if self.client is None:
            client, self.experiment_id = connect(self.uri, self.experiment)
            self.run_writer.find(client, self.experiment_id)
            self.client = client
        return self.client
