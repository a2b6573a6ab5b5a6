"""StageRunner: what the stages of every script have in common."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from adcore.metric_names import LABELS
from sweeps.engine.live.monitor import Monitor, StageListener
from sweeps.engine.machine.cluster_slots import slots_for
from sweeps.engine.machine.code import code_tags
from sweeps.engine.machine.resources import Resources
from sweeps.engine.machine.system_metrics import SystemMetrics
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.record.progress import ENDED, STAGE, stage_start
from sweeps.engine.search.ray_tuner import run_tune
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.session import Session
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.outbox import DataInput

__all__ = ["INTERRUPTED", "StageRunner"]

INTERRUPTED = 130
#: Attribute: when the driver's machine was first sampled, in seconds since 1970.
SAMPLED_FROM = "system_metrics_from"


class StageRunner(StageListener):
    """Trains one stage after another. failures: what failed, one line each. reason: why the sweep is incomplete.

    deleting: the thread that deletes objects of a store. summary_line: the sweep in one line, printed at its start.
    winner: its number and first fresh seed, once there is one.
    """

    summary_line: str

    def __init__(self, plan: BasePlan, settings: RunSettings, session: Session, records: list[Attributes]) -> None:
        self.settings, self.home = settings, session.home
        self.cluster_slots = slots_for(session.resources, settings)
        self.interrupt, self.outbox, self.display = session.interrupt, session.outbox, session.display
        self.command, self.copies = session.command, session.copies
        self.display.metric = LABELS[plan.metric]
        self.deleting = ThreadPoolExecutor(1, thread_name_prefix="delete")
        self.tracking = Tracking(session.outbox, plan, session.home.name, code_tags(records[0].codes))
        self.tracking.inputs = [
            DataInput(name, part, digest)
            for name, parts in (records[0].read("data") or {}).items()
            for part, digest in parts.items()
        ]
        self.records = records
        self.failures: list[str] = []
        self.reason = ""
        self.winner: tuple[int, int] | None = None
        self.started = time.monotonic()
        self.system_metrics = SystemMetrics() if settings.system_metrics else None

    def run(self) -> int:
        """Run all stages that the record does not hold yet; returns the exit code."""
        raise NotImplementedError

    @property
    def resources(self) -> Resources:
        """Of a trial, with the slots that the cluster has now."""
        return self.cluster_slots.resources

    @property
    def storage_error(self) -> StorageError | None:
        """Why the sweep's own files cannot be written; None if they can."""
        return next((each.storage_error for each in (self.outbox, *self.records) if each.storage_error), None)

    @property
    def is_gone(self) -> bool:
        """Whether the record has been removed."""
        return not self.home.has_record

    def on_storage_error(self, error: StorageError) -> None:
        """Stop all writing to the records after a failed write."""
        for record in self.records:
            record.storage_error = record.storage_error or error

    def train(
        self, search: PackSearcher, trainable: Callable[..., Any], *, total: float, done_before: float = 0
    ) -> None:
        """Train what a search asks for. trainable: what a worker runs, with its data in Ray's object store.

        total: class-epochs of the stage at most; done_before: those trained before. Raises StorageError if the sweep's
        files cannot be written, KeyboardInterrupt if the sweep was told to stop.
        """
        self.note_code()
        self.records[0].write(STAGE, stage_start(search.name, total - done_before, self.records[0].all()))
        self.tracking.open_sweep(search.name)
        if not self.cluster_slots.is_fixed:
            self._count(search)
            self.display.set_slots(self.cluster_slots.present)
        self.display.begin(search.name, total, done_before)
        self.current_search = search
        monitor = Monitor(search, self.tracking, self.display, self, report_timeout=self.settings.report_timeout)
        self.interrupt.in_tune = True
        try:
            run_tune(
                search, monitor, trainable,
                home=self.home, cluster_slots=self.cluster_slots, on_storage_error=self.on_storage_error,
            )  # fmt: skip
        except Exception:  # whatever Tune made of a StorageError; the error itself is raised below
            if not self.storage_error:
                raise
        finally:
            self.interrupt.in_tune = False
            self.cluster_slots.withdraw_demand()
            self.failures += monitor.failures
            monitor.show_ended()
        if self.storage_error:
            raise self.storage_error
        self.stage_ended(search)
        self.copy_record()
        self.display.end()
        if self.interrupt.requested or not search.is_exhausted:  # Tune itself may have taken a signal as it started
            raise KeyboardInterrupt

    def copy_record(self) -> None:
        """Copy the record to the store, if there is one. Raises StorageError."""
        if self.copies:
            self.copies.copy_now()

    def note_code(self) -> None:
        """Record the running code; call before anything is trained or scored. Raises StorageError."""
        self.records[0].note_code()
        self.tracking.tags = code_tags(self.records[0].codes)

    def note_begin(self) -> None:
        """Record that a driver works on the sweep. Raises StorageError."""
        if self.records[0].read(ENDED):
            self.records[0].write(ENDED, None)

    def note_end(self, code: int) -> None:
        """Record how this driver has ended, if its files can still be written. code: its exit code."""
        if not self.is_gone and not self.storage_error:
            with contextlib.suppress(StorageError):
                self.records[0].write(ENDED, {"code": code, "reason": self.reason, "failures": self.failures})

    def stage_ended(self, search: PackSearcher) -> None:
        """Called when none of the search's trials is running and the record is on disk; may be repeated."""
        self.tell_ended(search)

    def tell_ended(self, search: PackSearcher) -> None:
        """Tell MLflow what has ended."""
        for configuration, seed, state in search.newly_ended():
            self.tracking.close_configuration(search.name, configuration, seed, state)

    def report_failure(self, reason: str) -> int:
        """Print on stderr that the sweep is incomplete, and what failed; returns the exit code."""
        self.reason = reason
        print(f"the sweep is incomplete: {reason}", file=sys.stderr)
        for line in self.failures:
            print(f"  {line}", file=sys.stderr)
        return 1

    def tune_ready(self) -> None:
        self.interrupt.take_over()

    def _sample_system(self) -> None:
        """Log the use of this machine, if that was asked for and is due."""
        if self.system_metrics and (metrics := self.system_metrics.sample()):
            now, sampled_from = int(time.time()), self.records[0].read(SAMPLED_FROM)
            if sampled_from is None:
                self.records[0].write(SAMPLED_FROM, sampled_from := now)
            self.tracking.log_system_metrics(metrics, max(0, now - sampled_from))

    def tune_step(self) -> None:
        """Sample the machine, follow the nodes; end Tune's loop if the sweep cannot continue or is to stop."""
        self._sample_system()
        try:
            if self.copies:
                self.copies.step()
        except StorageError as error:
            self.on_storage_error(error)
        if self.storage_error:
            self.interrupt.end_tune()
        if self.cluster_slots.is_due():
            self._count(self.current_search)
        self.interrupt.pass_on()

    def _count(self, search: PackSearcher) -> None:
        """Count the slots, and let the search use them, and an autoscaler see how many more it could use."""
        if self.cluster_slots.count():
            self.display.set_slots(self.cluster_slots.present)
        if search.slots != self.resources.slots:
            search.resize(self.resources.slots)
        self.cluster_slots.update_demand(len(search.jobs), search.ready_count)
