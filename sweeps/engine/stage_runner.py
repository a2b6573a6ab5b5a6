"""StageRunner: what the stages of every program have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sweeps.engine.live.monitor import Monitor
from sweeps.engine.machine.code import code_tags
from sweeps.engine.machine.storage import StorageError
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.program import AnyPlan
from sweeps.engine.record.attributes import Facts
from sweeps.engine.record.sweep_files import known_codes, note_code
from sweeps.engine.search.ray_tuner import fit
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.turns import InTurn, Turn
from sweeps.engine.tracking.events import Tracking

if TYPE_CHECKING:
    from sweeps.engine.run import Run

__all__ = ["INTERRUPTED", "StageRunner"]

INTERRUPTED = 130


class StageRunner:
    """Runs the trials of one stage after another. failures: what failed, one line each.

    summary_line: the sweep in a line, for its beginning.
    """

    summary_line: str

    def __init__(self, plan: AnyPlan, settings: RunSettings, run: Run, records: list[Facts]) -> None:
        self.settings, self.home, self.room, self.interrupt = settings, run.home, run.room, run.interrupt
        self.outbox, self.display, self.command = run.outbox, run.display, run.command
        self.tracking = Tracking(run.outbox, plan, run.home.name, code_tags(known_codes(records[0])))
        self.records = records
        self.failures: list[str] = []
        self.started = time.monotonic()

    def run(self) -> int:
        """All stages, as far as the record does not hold them; returns the exit code."""
        raise NotImplementedError

    @property
    def broken(self) -> StorageError | None:
        """Why the sweep's own files cannot be written, if that is so."""
        return next((each.broken for each in (self.outbox, *self.records) if each.broken), None)

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed the record."""
        return not (self.home / "study.db").exists()

    def on_storage_error(self, error: StorageError) -> None:
        """Something could not be written: the record takes nothing more."""
        for record in self.records:
            record.broken = record.broken or error

    def train(self, turns: Iterator[Turn], trainable: Callable[[], Callable[..., Any]]) -> None:
        """Train what the turns ask for, one after another. Each is asked for when the one before has ended.

        trainable: makes what a worker runs, with its data in Ray's object store; called if there is anything to train.
        Raises StorageError if the sweep's files cannot be written.
        """
        first = next(turns, None)
        if first is None:
            return
        self.note_code()
        monitor = self._monitor()
        self._begin(first, monitor)
        search = InTurn(first, lambda ended: self._advance(ended, turns, monitor))
        self.interrupt.in_tune = True
        try:
            fit(
                search, monitor, trainable(),
                home=self.home, room=self.room, on_storage_error=self.on_storage_error,
            )  # fmt: skip
        except Exception:  # whatever Tune made of a StorageError; the error itself is in self.broken, raised below
            if not self.broken:
                raise
        finally:
            self.interrupt.in_tune = False
            self.failures += monitor.failures
        if self.broken:
            raise self.broken
        self.end_turn(search.turn.search)
        self.display.end()

    def _advance(self, ended: Turn, turns: Iterator[Turn], monitor: Monitor) -> Turn | None:
        """The turn after the one that has ended; None at the end, and where the sweep is not to go on."""
        if self.interrupt.requested or self.broken:
            return None
        self.end_turn(ended.search)
        following = next(turns, None)
        if following:
            self._begin(following, monitor)
        return following

    def _begin(self, turn: Turn, monitor: Monitor) -> None:
        self.tracking.open_sweep(turn.search.name)
        self.display.begin(turn.search.name, *turn.work)
        monitor.begin(turn.search)

    def note_code(self) -> None:
        """To be called before anything is trained or scored. Raises StorageError."""
        note_code(self.records[0])
        self.tracking.tags = code_tags(known_codes(self.records[0]))

    def _monitor(self) -> Monitor:
        return Monitor(
            self.tracking,
            self.display,
            close_ended=self.close_ended,
            on_setup=self.interrupt.take_over,
            on_step=self._on_step,
            report_timeout=self.settings.report_timeout,
        )

    def end_turn(self, search: PackSearcher) -> None:
        """None of the search's trials is under way, and what is recorded is on the disk; may be repeated."""
        self.close_ended(search)

    def close_ended(self, search: PackSearcher) -> None:
        """Tell MLflow what has ended."""
        for configuration, seed, state in search.newly_closed():
            self.tracking.close_configuration(search.name, configuration, seed, state)

    def report_failure(self, reason: str) -> int:
        """Say on stderr that the sweep is not whole, and what failed; returns the exit code."""
        print(f"the sweep is not whole: {reason}", file=sys.stderr)
        for line in self.failures:
            print(f"  {line}", file=sys.stderr)
        return 1

    def _on_step(self) -> None:
        """At each step of Tune's: whether to end its loop."""
        if self.broken:
            self.interrupt.end_tune()
        self.interrupt.pass_on()
