"""The stages of a sweep: search, confirm, final. A resumed sweep goes on where the record says that it was."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ray.tune import with_parameters

from adcore.datasets import ImageDataset, load
from adcore.train.build import split_train
from sweeps.engine.machine.data import require_same
from sweeps.engine.machine.storage import storage
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.record import Configuration, SweepRecord
from sweeps.engine.results.per_class import PerClass, own_best, per_class
from sweeps.engine.results.report import commands, final_report, write_figure, write_summary, write_table
from sweeps.engine.results.summary import Summary, confirmed_means, final_metrics, summarise
from sweeps.engine.results.test_part import TestResult, opened_before, score_models
from sweeps.engine.results.winner_figures import inspect_model
from sweeps.engine.search.confirm import Confirmation, ConfirmSearch, candidates, confirmations, references
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.trial import checkpoint_paths, drop_checkpoints, run_trial
from sweeps.engine.search.turns import Turn
from sweeps.engine.stage_runner import INTERRUPTED, StageRunner

if TYPE_CHECKING:
    from sweeps.engine.run import Run

__all__ = ["Stages"]

UNCONFIRMED = "confirmation is not complete; --resume tries again what failed"


class Stages(StageRunner):
    """What a sweep does, one stage after another. data: the train part."""

    def __init__(self, plan: Plan, settings: SweepSettings, run: Run, data: ImageDataset) -> None:
        self.record = SweepRecord(run.study, plan, path=run.home / "study.db")
        self.of_classes: dict[int, SweepRecord] = {}  # of the classes' own searches, once they begin
        super().__init__(plan, settings, run, [self.record])
        self.plan, self.data, self.sweep_settings = plan, data, settings
        self.packing = {"limit": run.study.user_attrs["members_per_trial"], "slots": run.room.slots}
        self.summary_line = (
            f"{plan.configs} configurations x {len(plan.classes)} classes of {plan.base.dataset}, packs of up to "
            f"{self.packing['limit']} trainings, {run.room.slots} at a time"
        )

    def run(self) -> int:
        """All stages, as far as the record does not hold them; returns the exit code."""
        self.tracking.open_sweep("search")
        self.train(self._turns(), self._trainable)
        if self.interrupt.requested:
            return INTERRUPTED
        chosen = self._chosen()
        if chosen and self._confirmation(chosen).left:  # a winner of part of them might be another
            return self._fail(UNCONFIRMED)
        confirmed = confirmations(self.record, chosen)
        if not confirmed:
            return self._without_winner()
        if self.plan.objective != "per-class":
            return self._final(confirmed)
        if not self.of_classes or self._confirmation_by_class().left:
            return self._fail(UNCONFIRMED)
        return self._final(confirmed, own_best(confirmed[0], self.of_classes))

    def _turns(self) -> Iterator[Turn]:
        if not self.plan.space.is_grid:
            yield from self._search("search", [self.record])
        chosen = self._chosen()
        yield from self._confirm(self._confirmation(chosen))
        is_whole = not self._confirmation(chosen).left
        if self.plan.objective == "per-class" and is_whole and confirmations(self.record, chosen):
            self.of_classes = {index: self.record.of_class(index) for index in self.plan.classes}
            self.records += self.of_classes.values()
            yield from self._search("search by class", list(self.of_classes.values()))
            yield from self._confirm(self._confirmation_by_class())

    def _chosen(self) -> list[Configuration]:
        """What is confirmed: every point of a grid, or what the search has found."""
        return self.record.open_grid() if self.plan.space.is_grid else candidates(self.record)

    def _confirmation(self, chosen: list[Configuration]) -> ConfirmSearch:
        return ConfirmSearch("confirm", [(self.record, chosen)], self.home, **self.packing)

    def _confirmation_by_class(self) -> ConfirmSearch:
        chosen = [(record, record.best(self.plan.best)) for record in self.of_classes.values()]
        return ConfirmSearch("confirm by class", chosen, self.home, **self.packing)

    def _search(self, name: str, records: list[SweepRecord]) -> Iterator[Turn]:
        """Go on with what these records have not searched yet."""
        search = LadderSearch(name, records, **self.packing)
        self.close_ended(search)  # what a killed driver did not get to tell
        if search.turns:
            budget, spent = (sum(getattr(each.ladder, name) for each in records) for name in ("budget", "spent"))
            yield Turn(search, (budget, spent))

    def _confirm(self, search: ConfirmSearch) -> Iterator[Turn]:
        self.close_ended(search)
        if search.left:
            yield Turn(search, (float(search.members * self.plan.base.epochs), 0.0))

    def _trainable(self) -> Callable[..., Any]:
        return with_parameters(
            run_trial, data=self.data, home=str(self.home), members=self.packing["limit"], **self.room.shares
        )

    def end_turn(self, search: PackSearcher) -> None:
        """Drop all that is left of what has ended, also what a killed worker left half-written."""
        super().end_turn(search)
        if search.keeps_checkpoints:
            return
        for each in (each for record in self._records for each in record.configurations.values()):
            if each.state not in ("running", "failed"):
                drop_checkpoints(self.home, each.number, self.plan.base.train_seed, unfinished=True)

    def close_ended(self, search: PackSearcher) -> None:
        """Tell MLflow how far each has come and what has ended, and drop checkpoints that nothing will go on from."""
        seed = self.plan.base.train_seed
        for record, each, rung in search.newly_climbed() if isinstance(search, LadderSearch) else []:
            value, classes = record.value_at(each, rung), record.classes[: record.ladder.rungs[rung].classes]
            self.tracking.climbed(search.name, each.number, seed, rung=rung + 1, value=value, classes=classes)
        for configuration, own_seed, state in search.newly_closed():
            self.tracking.close_configuration(search.name, configuration, own_seed, state)
            if not search.keeps_checkpoints and state != "failed":
                drop_checkpoints(self.home, configuration, own_seed, unfinished=False)

    @property
    def _records(self) -> list[SweepRecord]:
        return [self.record, *self.of_classes.values()]

    def _final(self, confirmed: list[Confirmation], own: Mapping[int, Confirmation] | None = None) -> int:
        """own: each class's best, where they were searched."""
        again, numbers = (
            self.sweep_settings.open_test_again,
            {i: each.number for i, each in (own or {}).items()},
        )
        if not again and (reason := opened_before(self.record, confirmed, numbers)):
            return self._fail(reason)
        if again or self.record.read("test") is None:
            self.note_code()
        self.tracking.open_sweep("final")
        test = score_models(
            self.record, confirmed, str(self.home), lambda: self._test_part,
            own=numbers, again=again, room=self.room, on_progress=self.display.scored,
        )  # fmt: skip
        self.display.end()
        self._inspect(confirmed[0].number, self.plan.confirm_seeds[0])
        summary = summarise(
            confirmed,
            test,
            {each.number: name for name, each in references(self.record).items()},
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
        for line in commands(self.record, summary.winner, self.sweep_settings, self.command):
            self.display.print(line)
        return 0 if whole else self.report_failure(f"{self._failed_count()} of {self._total()} configurations failed")

    def _publish(
        self, confirmed: list[Confirmation], summary: Summary, test: TestResult, by_class: PerClass | None, state: str
    ) -> None:
        home, winner, seconds = self.home, summary.winner, time.monotonic() - self.started
        with storage(home):
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
        return len(split_train(self.plan.base, self.data.labels).validation)

    def _without_winner(self) -> int:
        with storage(self.home):
            write_table(self.home / "results.csv", self.record, {})
        return self._fail(f"no configuration was trained to the end on all classes: {self.record.counts()}")

    def _fail(self, reason: str) -> int:
        """End the sweep's run without figures, and say why."""
        found = [path for name in ("results.csv", "study.db") if (path := self.home / name).exists()]
        self.tracking.close_sweep("failed", {}, found)
        return self.report_failure(reason)

    def _total(self) -> int:
        return len(self._records) * self.plan.configs

    def _failed_count(self) -> int:
        return sum(record.counts()["failed"] for record in self._records)

    def _inspect(self, winner: int, seed: int) -> None:
        """Figures of the winner's models, drawn once."""
        if self.record.read("inspected"):
            return
        paths = checkpoint_paths(self.home, winner, sorted(self.plan.classes), seed)
        inspect_model(
            paths, winner,
            train=self.data, test=self._test_part, tracking=self.tracking, home=self.home, room=self.room,
        )  # fmt: skip
        self.record.write("inspected", True)

    @functools.cached_property
    def _test_part(self) -> ImageDataset:
        name, settings = self.plan.base.dataset, self.settings
        data = load(name, "test", data_dir=settings.data_dir, allow_unverified=settings.allow_unverified_data)
        require_same(self.record.read("data"), {name: {"test": data.content_hash}}, self.home.name)
        return data
