"""run_sweep: search, confirm, final. Each stage is in the record, so that a resumed sweep goes on where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from adcore.datasets import ImageDataset, load
from adcore.protocols import split
from sweeps.engine.blocks import BlockASHA, BlockSearch
from sweeps.engine.cluster import Resources, ray_cluster, resources
from sweeps.engine.confirm import Confirmation, ConfirmSearch, candidates, confirmations, references
from sweeps.engine.display import Display
from sweeps.engine.final import TestResult, opened_before, score_models
from sweeps.engine.interrupt import Interrupt, interruptible
from sweeps.engine.mlflow_outbox import Outbox
from sweeps.engine.mlflow_writer import MlflowWriter
from sweeps.engine.monitor import Monitor
from sweeps.engine.per_class import PerClass, own_best, per_class
from sweeps.engine.plan import Plan, classes_per_trial, groups_of
from sweeps.engine.record import Block, SweepRecord, open_study
from sweeps.engine.report import (
    commands,
    final_report,
    resume_command,
    write_figure,
    write_summary,
    write_table,
)
from sweeps.engine.searcher import RecordSearcher
from sweeps.engine.settings import SweepSettings
from sweeps.engine.side_by_side import SideBySide
from sweeps.engine.storage_error import StorageError
from sweeps.engine.summary import Summary, confirmed_means, final_metrics, summarise
from sweeps.engine.tracking import Tracking
from sweeps.engine.trial import check_checkpoints, drop_checkpoints
from sweeps.engine.tuning import fit

__all__ = ["run_sweep"]

INTERRUPTED = 130
UNCONFIRMED = "confirmation is not complete; --resume tries again what failed"


class Sweep:
    """One sweep under way: its plan, its record and those who listen."""

    def __init__(self, plan: Plan, settings: SweepSettings, home: Path, data: ImageDataset) -> None:
        self.plan, self.settings, self.home, self.data = plan, settings, home, data
        self.display = Display(Console())
        self.failures: list[str] = []
        self.started = time.monotonic()

    def run(self, room: Resources, interrupt: Interrupt) -> int:
        """All stages; returns the exit code."""
        self.room, self.interrupt = room, interrupt
        if (self.home / "study.db").exists():
            check_checkpoints(self.home)
        self.record = self._open_record()
        self.records = [self.record]  # and those of the classes' own searches, once they begin
        self.outbox = Outbox(self.home / "mlflow-outbox.db")
        writer = MlflowWriter(self.settings.tracking_uri, self.plan.script, self.record.read("sweep_id"), self.outbox)
        writer.require_usable_database()
        self.tracking = Tracking(self.outbox, self.plan, self.home.name)
        self._announce()
        try:
            code = self._stages()
            if code == INTERRUPTED:
                self.tracking.interrupt()
        except KeyboardInterrupt:
            code = INTERRUPTED
            self.tracking.interrupt()
        except StorageError as error:
            code = self._failed(f"its files cannot be written: {error}")
        finally:
            self.display.end()
        with contextlib.suppress(KeyboardInterrupt):  # after a second Ctrl-C nothing more is waited for
            if interrupt.count < 2 and not writer.close():
                code = self._undelivered(writer, code)
        if code == INTERRUPTED or self._broken:
            verb = "interrupted" if code == INTERRUPTED else "make room, then"
            self.display.print(f"{verb}; go on with:\n  {self._resume_command()}")
        return code

    def _undelivered(self, writer: MlflowWriter, code: int) -> int:
        """Say what MLflow has not taken; that alone does not make a sweep fail, as long as it can be delivered."""
        waiting, uri = len(self.outbox), self.settings.tracking_uri
        print(f"MLflow at {uri} did not take everything: {writer.reason}", file=sys.stderr)
        if waiting:
            print(
                f"{waiting} updates wait in {self.outbox.path}; deliver them with: {self._resume_command()}",
                file=sys.stderr,
            )
        return code or int(bool(writer.refused))

    def _resume_command(self) -> str:
        return resume_command(self.plan, self.settings, self.home.name)

    @property
    def _broken(self) -> StorageError | None:
        """Why the sweep's own files cannot be written, if that is so."""
        return next((each.broken for each in (self.outbox, *self.records) if each.broken), None)

    def _on_step(self) -> None:
        """At each step of Tune's: whether to end its loop."""
        if self._broken:
            self.interrupt.end_tune()
        self.interrupt.pass_on()

    def _announce(self) -> None:
        plan, groups = self.plan, len(self.record.groups)
        parts = "one trial" if groups == 1 else f"{groups} trials"
        self.display.print(
            f"sweep {self.home.name}: {plan.configs} configurations x {len(plan.classes)} classes of "
            f"{plan.base.dataset}, {parts} each, {self.room.slots} at a time; record in {self.home}"
        )

    def _stages(self) -> int:
        self.tracking.open_sweep("search")
        chosen = self.record.open_grid() if self.plan.space.is_grid else self._search_all()
        if self.interrupt.requested:
            return INTERRUPTED
        if not chosen:
            return self._without_winner()
        confirm = ConfirmSearch(self.record, chosen, self.home)
        self._confirm(confirm, len(confirm.jobs) / len(self.record.groups))
        if self.interrupt.requested:
            return INTERRUPTED
        if ConfirmSearch(self.record, chosen, self.home).jobs:  # a winner of part of them might not be the winner
            return self._failed(UNCONFIRMED)
        confirmed = confirmations(self.record, chosen)
        if not confirmed:
            return self._without_winner()
        return self._by_class(confirmed) if self.plan.objective == "per-class" else self._final(confirmed)

    def _search_all(self) -> list[Block]:
        """The first stage; returns what is to be confirmed."""
        self._search(BlockSearch(self.record), self.record)
        return candidates(self.record)

    def _by_class(self, confirmed: list[Confirmation]) -> int:
        """A search and a confirmation of its own for each class, all of them side by side; then the end."""
        records = {index: self.record.of_class(index) for index in self.plan.classes}
        own = list(records.values())
        self.records += own
        self._search(SideBySide("search by class", [BlockSearch(record) for record in own]), *own)
        if self.interrupt.requested:
            return INTERRUPTED
        searches = self._confirmations_of(own)
        trainings = sum(len(search.jobs) for search in searches) / len(own)
        self._confirm(SideBySide("confirm by class", searches), trainings)
        if self.interrupt.requested:
            return INTERRUPTED
        if any(search.jobs for search in self._confirmations_of(own)):
            return self._failed(UNCONFIRMED)
        return self._final(confirmed, own_best(confirmed[0], records))

    def _confirmations_of(self, own: list[SweepRecord]) -> list[ConfirmSearch]:
        return [ConfirmSearch(record, record.best(self.plan.best), self.home) for record in own]

    def _search(self, search: RecordSearcher, *records: SweepRecord) -> None:
        """Go on with what these records have not searched yet."""
        self._close_ended(search)  # what a killed driver did not get to tell
        if not all(record.is_searched for record in records):
            # MLflow's outbox hears of an epoch before anything is decided on it: a stopped trial does not report again
            scheduler = BlockASHA(*records, hear=lambda t, r: self.tracking.epoch(search.name, t.config, r))
            self._stage(search, scheduler, self._epochs_searched(records))

    def _confirm(self, search: RecordSearcher, trainings: float) -> None:
        """trainings: how many of all classes are still to be done."""
        self._close_ended(search)
        if trainings:
            self._stage(search, None, (trainings * self.plan.base.epochs, 0))

    def _stage(self, search: RecordSearcher, scheduler: BlockASHA | None, epochs: tuple[float, float]) -> None:
        self.tracking.open_sweep(search.name)
        self.display.begin(search.name, *epochs)
        monitor = Monitor(
            search,
            self.tracking,
            self.display,
            close_ended=lambda: self._close_ended(search),
            on_step=self._on_step,
            report_timeout=self.settings.report_timeout,
        )
        self.interrupt.in_tune = True
        try:
            fit(search, scheduler, monitor, home=self.home, data=self.data, room=self.room)
        finally:
            self.interrupt.in_tune = False
            self.failures += monitor.failures
        if self._broken:
            raise self._broken
        self._close_ended(search)
        if not search.keeps_checkpoints:  # trials of a stopped configuration may have saved after it was closed
            for block in (block for record in self.records for block in record.blocks.values()):
                if block.state not in ("running", "failed"):
                    drop_checkpoints(self.home, block.number, self.plan.base.train_seed)
        self.display.end()

    def _close_ended(self, search: RecordSearcher) -> None:
        """Tell MLflow what has ended, and drop checkpoints that nothing will go on from."""
        for configuration, seed, state in search.newly_closed():
            self.tracking.close_configuration(search.name, configuration, seed, state)
            if not search.keeps_checkpoints and state != "failed":
                drop_checkpoints(self.home, configuration, seed)

    def _final(self, confirmed: list[Confirmation], own: Mapping[int, Confirmation] | None = None) -> int:
        """own: each class's best, where they were searched."""
        again, numbers = self.settings.open_test_again, {i: each.block.number for i, each in (own or {}).items()}
        if not again and (reason := opened_before(self.record, confirmed, numbers)):
            return self._failed(reason)
        self.tracking.open_sweep("final")
        test = score_models(self.record, confirmed, str(self.home), self._open_test, own=numbers, again=again)
        summary = summarise(
            confirmed,
            test,
            {block.number: name for name, block in references(self.record).items()},
            validation_images=self._validation_images(),
            same_training=not self.plan.search,
            is_grid=self.plan.space.is_grid,
        )
        by_class = per_class(self.plan, confirmed, own, test) if own else None
        whole = not self.failures and not self._failed_count()
        self._publish(confirmed, summary, test, by_class, "complete" if whole else "failed")
        for part in final_report(self.record, confirmed, summary, test):
            self.display.print(part)
        for part in [by_class.table(), by_class.sentence] if by_class else []:
            self.display.print(part)
        for line in commands(self.record, summary.winner, self.settings, self.home.name):
            self.display.print(line)
        return 0 if whole else self._failed()

    def _publish(
        self, confirmed: list[Confirmation], summary: Summary, test: TestResult, by_class: PerClass | None, state: str
    ) -> None:
        home, winner, seconds = self.home, summary.winner, time.monotonic() - self.started
        artifacts = [
            write_table(home / "results.csv", self.record, confirmed_means(confirmed, test)),
            write_summary(home / "results.json", self.record, confirmed, summary, test, seconds, by_class),
            write_figure(home / "auroc_by_class.png", self.plan, winner, test),
            home / "study.db",
        ]
        metrics = final_metrics(summary, test) | (by_class.metrics() if by_class else {})
        opening = len(self.record.read("test_openings")) - 1
        self.tracking.close_sweep(state, metrics, artifacts, step=opening)

    def _validation_images(self) -> int:
        base = self.plan.base
        parts = split(
            self.data.labels,
            split_seed=base.split_seed,
            images_per_class=base.images_per_class,
            validation_images=base.validation_images,
        )
        return len(parts.validation)

    def _without_winner(self) -> int:
        write_table(self.home / "results.csv", self.record, {})
        self.tracking.close_sweep("failed", {}, [self.home / "results.csv", self.home / "study.db"])
        return self._failed(f"no configuration was trained to the end on all classes: {self.record.counts()}")

    def _failed(self, reason: str = "") -> int:
        total = len(self.records) * self.plan.configs
        reason = reason or f"{self._failed_count()} of {total} configurations failed"
        print(f"the sweep is not whole: {reason}", file=sys.stderr)
        for line in self.failures:
            print(f"  {line}", file=sys.stderr)
        return 1

    def _failed_count(self) -> int:
        return sum(record.counts()["failed"] for record in self.records)

    def _open_record(self) -> SweepRecord:
        path = self.home / "study.db"
        is_new = not path.exists()
        self.home.mkdir(parents=True, exist_ok=True)
        study = open_study(path, create=is_new)
        size = study.user_attrs.get("classes_per_trial") or classes_per_trial(
            self.plan, self.settings.classes_per_trial, self.room.slots
        )
        groups = [tuple(sorted(group)) for group in groups_of(self.plan.classes, size)]
        record = SweepRecord(study, self.plan, groups, path=path)
        if is_new:
            record.write("sweep_id", uuid.uuid4().hex)
            record.write("classes_per_trial", size)
            record.write("plan", self.plan.as_record())
            # the scale by name: a resume on another machine must not choose anew
            resolved: dict[str, Any] = {
                "scale": self.plan.scale,
                "dataset": self.plan.base.dataset,
                "epochs": self.plan.base.epochs,
            }
            if not self.plan.space.is_grid:
                resolved["configs"] = self.plan.configs
            record.write("settings", {**dataclasses.asdict(self.settings), **resolved})
        return record

    def _open_test(self) -> ImageDataset:
        return load(
            self.plan.base.dataset,
            "test",
            data_dir=self.settings.data_dir,
            allow_unverified=self.settings.allow_unverified_data,
        )

    def _epochs_searched(self, records: Sequence[SweepRecord]) -> tuple[float, float]:
        """Epochs of configurations with all their classes: at most, and done before a resume."""
        epochs, done = self.plan.searched.epochs, 0.0
        total = float(len(records) * self.plan.configs * epochs)
        for block in (block for record in records for block in record.blocks.values()):
            reached = epochs if block.state == "complete" else max(block.values, default=0)
            done += reached if block.state != "running" else 0
            total -= epochs - reached if block.state not in ("running", "complete") else 0
        share = len(records[0].plan.classes) / len(self.plan.classes)
        return total * share, done * share


def run_sweep(plan: Plan, settings: SweepSettings, home: Path, data: ImageDataset) -> int:
    """Run or resume the sweep in folder `home`; returns the exit code: 0 whole, 1 with failed trials, 130 interrupted.

    data: the train part. Raises UserError if Ray cannot be had or has too little for a trial.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        with interruptible() as interrupt, ray_cluster(settings):
            return Sweep(plan, settings, home, data).run(resources(settings), interrupt)
    except KeyboardInterrupt:
        return INTERRUPTED
