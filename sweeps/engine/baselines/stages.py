"""The one stage of the table of baselines: train what is left, and write the table of what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import with_parameters

from adcore.datasets import ImageDataset
from sweeps.engine.baselines.bars import write_bars
from sweeps.engine.baselines.plan import BaselinePlan, BaselineSettings, Training
from sweeps.engine.baselines.search import BaselineSearch
from sweeps.engine.baselines.table import Outcome, outcomes, rich_table, write_csv, write_json, write_markdown
from sweeps.engine.baselines.trial import run_baseline
from sweeps.engine.machine.storage import storage
from sweeps.engine.record.attributes import Facts
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.turns import Turn
from sweeps.engine.stage_runner import INTERRUPTED, StageRunner

if TYPE_CHECKING:
    from sweeps.engine.run import Run

__all__ = ["BaselineStages"]


class BaselineStages(StageRunner):
    """Trains every row's experiments, each once per seed, and scores each model on the test part.

    data: train and test part of each data set, by name and part.
    """

    def __init__(
        self, plan: BaselinePlan, settings: BaselineSettings, run: Run, data: Mapping[tuple[str, str], ImageDataset]
    ) -> None:
        self.record = Facts(run.study, run.home / "study.db")
        super().__init__(plan, settings, run, [self.record])
        self.plan = plan
        self.parts = {name: (data[name, "train"], data[name, "test"]) for name in plan.dataset_names}
        self.summary_line = f"{len(plan.rows)} baselines, {len(plan.trainings)} trainings, {run.room.slots} at a time"

    def run(self) -> int:
        """Train what the record does not hold; returns the exit code."""
        self.tracking.open_sweep("baselines")
        search = BaselineSearch(self.record, self.plan)
        self.train(self._turns(search), self._trainable)
        found = outcomes(self.plan, self.record)
        files = self._write(found)
        return INTERRUPTED if self.interrupt.requested else self._finish(search, found, files)

    def _turns(self, search: BaselineSearch) -> Iterator[Turn]:
        self.close_ended(search)
        if search.left:
            total = float(len(self.plan.trainings))
            yield Turn(search, (total, total - len(search.left)))

    def _trainable(self) -> Callable[..., Any]:
        return with_parameters(run_baseline, parts=self.parts, home=str(self.home), **self.room.shares)

    def _finish(self, search: BaselineSearch, found: list[Outcome], files: list[Path]) -> int:
        missing = [each for each in self.plan.trainings if search.ended.get(each) != "complete"]
        self.failures += [
            f"{self._named(training)}: diverged" for training in missing if search.ended.get(training) == "diverged"
        ]
        metrics = {f"{each.row.name}_{_identifier(each.row.metric)}": each.mean for each in found}
        # a row that was missing has another step when it is there
        step = len(self.plan.trainings) - len(missing)
        self.tracking.close_sweep("failed" if missing else "complete", metrics, files, step=step)
        self.display.print(rich_table(found, self.plan.scale))
        self.display.print(f"table: {', '.join(str(path) for path in files[:3])}")
        self.display.print(f"resume:  {self.command}")
        return self.report_failure(f"{len(missing)} of {len(self.plan.trainings)} trainings failed") if missing else 0

    def _named(self, training: Training) -> str:
        title = self.plan.title("baselines", training.configuration, self.plan.config(training))
        return f"{title}, class {training.index}"

    def close_ended(self, search: PackSearcher) -> None:
        """Tell MLflow what has ended, with the figures of its models."""
        assert isinstance(search, BaselineSearch)
        known = self.record.all() if (done := search.newly_done()) else {}
        for training in done:
            found = known[training.key]
            files = [self.home / name for name in found["figures"]]
            self.tracking.assessed(
                search.name, training.configuration, training.seed, training.index, found["metrics"], files
            )
        super().close_ended(search)

    def _write(self, found: list[Outcome]) -> list[Path]:
        home = self.home
        with storage(home):
            return [
                write_csv(home / "baselines.csv", found),
                write_markdown(home / "baselines.md", found),
                write_json(home / "results.json", self.plan, found),
                home / "study.db",
                *write_bars(home / "figures", found),
            ]


def _identifier(text: str) -> str:
    return "_".join(text.replace(",", "").lower().split())
