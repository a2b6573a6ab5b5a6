"""The one stage of the table of baselines: train what is left, and write the table of what is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray.tune import with_parameters

from sweeps.engine.baselines.bars import write_bars
from sweeps.engine.baselines.plan import BaselinePlan, BaselineSettings, Training
from sweeps.engine.baselines.search import BaselineSearch
from sweeps.engine.baselines.table import Outcome, read_outcomes, rich_table, write_csv, write_json, write_markdown
from sweeps.engine.baselines.trial import run_baseline
from sweeps.engine.planning.base_plan import Data
from sweeps.engine.planning.labels import count_of
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.remote.local_files import fetch_files
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.session import Session
from sweeps.engine.stage_runner import StageRunner
from sweeps.engine.storage.errors import storage

__all__ = ["BaselineStages"]


class BaselineStages(StageRunner):
    """Trains every row's experiments, each once per seed, and scores each model on the test part.

    data: train and test part of each data set, by name and part.
    """

    def __init__(self, plan: BaselinePlan, settings: BaselineSettings, session: Session, data: Data) -> None:
        self.record = Attributes(session.study, session.home.record)
        super().__init__(plan, settings, session, [self.record])
        self.plan = plan
        self.parts = {name: (data[name, "train"], data[name, "test"]) for name in plan.dataset_names}
        self.summary_line = (
            f"{len(plan.rows)} baselines, {len(plan.trainings)} trainings, {session.resources.slots} at a time"
        )

    def run(self) -> int:
        """Train what the record does not hold yet; returns the exit code."""
        self.tracking.open_sweep("baselines")
        search = BaselineSearch(self.record, self.plan)
        self.tell_ended(search)
        try:
            if search.remaining:
                total, left = (self._epochs(each) for each in (self.plan.trainings, search.remaining))
                self.train(search, self._trainable(), total=total, done_before=total - left)
        except KeyboardInterrupt:
            if self.interrupt.count < 2:
                self._write(read_outcomes(self.plan, self.record))
            raise
        outcomes = read_outcomes(self.plan, self.record)
        return self._finish(search, outcomes, self._write(outcomes))

    def _epochs(self, trainings: Sequence[Training]) -> int:
        return sum(self.plan.config(each).epochs for each in trainings)

    def _trainable(self) -> Callable[..., Any]:
        return with_parameters(run_baseline, parts=self.parts, home=self.home, **self.resources.shares)

    def _finish(self, search: BaselineSearch, outcomes: list[Outcome], files: list[Path]) -> int:
        missing = [each for each in self.plan.trainings if search.states.get(each) != "complete"]
        self.failures += [
            f"{self._training_name(training)}: diverged"
            for training in missing
            if search.states.get(training) == "diverged"
        ]
        metrics = {f"{each.row.name}_{_identifier(each.row.metric)}": each.mean for each in outcomes}
        # a row that is completed later gets another step
        step = len(self.plan.trainings) - len(missing)
        self.tracking.close_sweep("failed" if missing else "complete", metrics, files, step=step)
        self.display.print(rich_table(outcomes, self.plan.scale))
        self.display.print(f"table: {', '.join(str(path) for path in files[:3])}")
        self.display.print(f"resume:  {self.command}")
        trainings = count_of(len(self.plan.trainings), "training")
        return self.report_failure(f"{len(missing)} of {trainings} failed") if missing else 0

    def _training_name(self, training: Training) -> str:
        title = self.plan.title("baselines", training.configuration, self.plan.config(training))
        return f"{title}, class {training.index}"

    def tell_ended(self, search: PackSearcher) -> None:
        """Tell MLflow what has ended, with the figures of its models."""
        assert isinstance(search, BaselineSearch)
        attributes = self.record.all() if (done := search.newly_done()) else {}
        for training in done:
            result = attributes[training.key]
            files = [self.home.folder / name for name in result["figures"]]
            fetch_files(self.home, (file for file in files if not file.exists()))
            self.tracking.log_assessment(
                search.name, training.configuration, training.seed, training.index, result["metrics"], files
            )
        super().tell_ended(search)

    def _write(self, outcomes: list[Outcome]) -> list[Path]:
        home, folder = self.home, self.home.folder
        with storage(folder):
            return [
                write_csv(folder / "baselines.csv", outcomes),
                write_markdown(folder / "baselines.md", outcomes),
                write_json(home.results, self.plan, outcomes),
                home.record,
                *write_bars(home.figures, outcomes),
            ]


def _identifier(text: str) -> str:
    return "_".join(text.replace(",", "").lower().split())
