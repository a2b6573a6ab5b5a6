"""The stages of a sweep: search, confirm, final. A resumed sweep continues from its record."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune import with_parameters

from adcore.datasets import ImageDataset
from sweeps.engine.machine.commands import resume_command
from sweeps.engine.machine.data import load_test_part
from sweeps.engine.plan_text import sweep_in_a_line
from sweeps.engine.planning.labels import count_of
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.checkpoint_files import drop_checkpoints
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.confirmation import Confirmation, candidates, chosen_in_time, confirmations
from sweeps.engine.record.extend import earlier_sizes
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.commands import final_commands
from sweeps.engine.results.files import write_table
from sweeps.engine.results.outcome import Outcome, conclude, publish
from sweeps.engine.results.per_class import choose_own_best
from sweeps.engine.results.tables import final_report
from sweeps.engine.results.test_part import reopening_line, score_models, why_open_already
from sweeps.engine.results.test_result import TestResult
from sweeps.engine.results.winner_figures import inspect_model
from sweeps.engine.results.winner_model import register_winner
from sweeps.engine.search.confirm_search import ConfirmSearch
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.trial import run_trial
from sweeps.engine.session import Session
from sweeps.engine.stage_runner import StageRunner
from sweeps.engine.storage.errors import storage
from sweeps.engine.time_limit import left_out_in_words, time_limit

__all__ = ["Stages"]

#: Times that a model is trained in one go until it is the one on record.
TRAININGS = 2
UNCONFIRMED = "confirmation is incomplete; --resume retries what failed"


class Stages(StageRunner):
    """Runs the stages of a sweep in order. data: the train part."""

    def __init__(self, plan: Plan, settings: SweepSettings, session: Session, data: ImageDataset) -> None:
        self.record = SweepRecord(session.study, plan, path=session.home.record)
        self.class_records: dict[int, SweepRecord] = {}  # of the classes' own searches, once they begin
        super().__init__(plan, settings, session, [self.record])
        self.limit = time_limit(self.record, session, settings)
        self.plan, self.data, self.sweep_settings = plan, data, settings
        self.tracking.level = settings.level_for(plan.configs)
        self.packing = {"limit": session.study.user_attrs["members_per_trial"], "slots": session.resources.slots}
        self.summary_line = sweep_in_a_line(plan, earlier_sizes(self.record), data.labels, **self.packing)

    def run(self) -> int:
        """Search, confirm, both again for each class with --objective per-class, final; returns the exit code."""
        if not self.plan.space.is_grid:
            self._search("search", [self.record])
        chosen = self.record.open_grid() if self.plan.space.is_grid else candidates(self.record)
        chosen = self.limit.choose_confirmed(chosen) if self.limit and chosen else chosen_in_time(self.record, chosen)
        unconfirmed = self._confirm("confirm", [(self.record, chosen)]).unconfirmed
        chosen = [each for each in chosen if each.state != "failed" or each.number not in unconfirmed]  # a reference
        if unconfirmed.intersection(each.number for each in chosen):  # among the others alone another might win
            return self._fail(UNCONFIRMED)
        confirmed = confirmations(self.record, chosen)
        if not confirmed:
            return self._without_winner()
        own_best: dict[int, Confirmation] = {}
        if self.plan.objective == "per-class":
            self.class_records = {index: self.record.of_class(index) for index in self.plan.classes}
            self.records += self.class_records.values()
            self._search("search by class", list(self.class_records.values()))
            best = [(record, record.best(self.plan.best)) for record in self.class_records.values()]
            if self._confirm("confirm by class", best).remaining_jobs:
                return self._fail(UNCONFIRMED)
            own_best = choose_own_best(confirmed[0], self.class_records)
        return self._final(confirmed, own_best)

    def _search(self, name: str, records: list[SweepRecord]) -> None:
        """Continue the searches of these records."""
        search = self.limit.search(name, **self.packing) if self.limit else LadderSearch(name, records, **self.packing)
        self.tell_ended(search)  # what a killed driver could not report
        if search.open_records:
            budget, spent = (sum(getattr(each.ladder, name) for each in records) for name in ("budget", "spent"))
            self.train(search, self._trainable, total=budget, done_before=spent)
        if self.limit:
            self.command = resume_command(self.plan.script, self.settings, self.home.name, **self.limit.longer)
            self.limit.require_time()

    def _confirm(self, name: str, chosen: Sequence[tuple[SweepRecord, list[Configuration]]]) -> ConfirmSearch:
        """Train what they lack, a model that is not the one on record once more; a search with what is left."""
        search = ConfirmSearch(name, chosen, self.home, **self.packing)
        self.tell_ended(search)
        trained = 0
        while search.remaining_jobs and (not trained or (search.has_other_models and trained < TRAININGS)):
            self.train(search, self._trainable, total=search.members * self.plan.base.epochs)
            search, trained = ConfirmSearch(name, chosen, self.home, **self.packing), trained + 1
        return search

    @functools.cached_property
    def _trainable(self) -> Callable[..., Any]:
        return with_parameters(
            run_trial, data=self.data, home=self.home, members=self.packing["limit"], **self.resources.shares
        )

    def stage_ended(self, search: PackSearcher) -> None:
        """Delete all checkpoints of what has ended, including those that a killed worker left half-written."""
        super().stage_ended(search)
        seed = self.plan.base.train_seed
        ended = (each for record in self._records for each in record.configurations.values())
        for each in () if search.keeps_checkpoints else ended:
            if each.state not in ("running", "failed"):
                drop_checkpoints(self.home, each.number, seed, unfinished=True, thread=self.deleting)

    def tune_step(self) -> None:
        if self.limit:
            self.limit.step(self.display, self.resources.slots)
        super().tune_step()

    def tell_ended(self, search: PackSearcher) -> None:
        """Tell MLflow which rungs were reached and what has ended; delete checkpoints that no training resumes from."""
        seed = self.plan.base.train_seed
        with self.outbox.transaction():  # a search that ends may end thousands at once
            for record, each, rung in search.new_climbs() if isinstance(search, LadderSearch) else []:
                value, classes = record.value_at(each, rung), record.classes[: record.ladder.rungs[rung].classes]
                self.tracking.log_rung(search.name, each.number, seed, rung=rung + 1, value=value, classes=classes)
            for configuration, own_seed, state in search.newly_ended():
                self.tracking.close_configuration(search.name, configuration, own_seed, state)
                if not search.keeps_checkpoints and state != "failed":
                    drop_checkpoints(self.home, configuration, own_seed, unfinished=False, thread=self.deleting)

    def _final(self, confirmed: list[Confirmation], own_best: Mapping[int, Confirmation]) -> int:
        """Score the test part, and report. own_best: each class's, if they were searched."""
        self.interrupt.check()
        numbers = {index: each.number for index, each in own_best.items()}
        open_again = self.sweep_settings.open_test_again
        if not open_again and (reason := why_open_already(self.record, confirmed, numbers)):
            return self._fail(reason)
        test = self._score(confirmed, numbers, open_again=open_again)
        if not self.plan.space.is_grid:  # there nothing wins
            register_winner(self.record, confirmed[0], home=self.home, tracking=self.tracking, train=self.data)
        outcome = conclude(self.record, confirmed, own_best, test, self.data.labels)
        failed = sum(record.ledger.counts()["failed"] for record in self._records)
        is_complete = not self.failures and not failed
        if self.limit:
            self.limit.clock.note(now=True)
        commands = final_commands(self.plan, outcome.summary.winner, self.sweep_settings, self.command, self.home)
        publish(
            outcome, self.record, home=self.home, tracking=self.tracking, commands=commands,
            seconds=time.monotonic() - self.started, state="complete" if is_complete else "failed",
            time_sentences=left_out_in_words(self.record, candidates(self.record)),
        )  # fmt: skip
        self.winner = confirmed[0].number, self.plan.confirm_seeds[0]
        self._print(outcome, commands)
        tried = count_of(sum(len(each.configurations) for each in self._records), "configuration")
        return 0 if is_complete else self.report_failure(f"{failed} of {tried} failed")

    def _score(self, confirmed: list[Confirmation], own_best: Mapping[int, int], *, open_again: bool) -> TestResult:
        if open_again or self.record.read("test") is None:
            self.note_code()
            self.tracking.open_sweep("final")
        if line := reopening_line(self.record, confirmed, own_best):
            self.display.print(line)
        test = score_models(
            self.record, confirmed, self.home, lambda: self._open_test(confirmed[0].number),
            own_best=own_best, open_again=open_again, resources=self.resources, on_progress=self.display.show_scored,
        )  # fmt: skip
        self.display.end()
        return test

    def _open_test(self, winner: int) -> ImageDataset:
        """The test part, for one opening, which is on record: for the winner's figures, then for all scores."""
        self.copy_record()  # which says that it is opened: a resume from the copy must know
        test = load_test_part(self.plan.base, self.settings, self.record.read("data"), self.home.name)
        self.display.print("final: opens the test part, to score all confirmed models")
        if self.record.read("inspected") != winner:  # an opening that is continued, or an extended sweep's second one
            self.display.print("final: draws figures of the winner's models first, which may take a minute")
            decisions = inspect_model(
                winner, sorted(self.plan.classes), seed := self.plan.confirm_seeds[0],
                train=self.data, test=test, tracking=self.tracking, home=self.home, resources=self.resources,
            )  # fmt: skip
            self.record.write("decisions", {"seed": seed, "by_class": decisions})
            self.record.write("inspected", winner)
        return test

    def _print(self, outcome: Outcome, commands: list[str]) -> None:
        """Print the results, and write the report, which takes some seconds."""
        extra_parts = [outcome.by_class.table(), outcome.by_class.sentence] if outcome.by_class else []
        extra_parts += [self.limit.in_words()] if self.limit else []
        extra_parts += left_out_in_words(self.record, candidates(self.record))
        files = f"files:   {self.home.folder}: {', '.join(self.home.existing_results())}"
        report_parts = final_report(self.record, outcome.confirmed, outcome.summary, outcome.test)
        for part in (*report_parts, *extra_parts, files, *commands):
            self.display.print(part)
        from sweeps.engine.report.render import try_report  # here: it loads matplotlib

        if report := try_report(self.home, self.record):
            self.tracking.add_files(report)
            self.display.print(f"report:  {report[0]}")

    def _without_winner(self) -> int:
        with storage(self.home.folder):
            write_table(self.home.table, self.record, {})
        return self._fail(f"no configuration was trained to the end on all classes: {self.record.ledger.counts()}")

    def _fail(self, reason: str) -> int:
        """End the sweep's run without results, and report why."""
        self.tracking.close_sweep("failed", {}, [path for path in (self.home.table, self.home.record) if path.exists()])
        return self.report_failure(reason)

    @property
    def _records(self) -> list[SweepRecord]:
        return [self.record, *self.class_records.values()]
