"""The table of baselines, without Ray: its plan, what is trained when, and what the table says."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import optuna
import pytest
from ray.tune.search import Searcher

from adcore.detectors import DETECTORS
from adcore.errors import UserError
from adcore.protocols.definitions import FOLDS
from sweeps.baselines import ROWS
from sweeps.engine.baselines.bars import write_bars
from sweeps.engine.baselines.plan import BaselinePlan, BaselineSettings, plan_baselines, rows_in_words
from sweeps.engine.baselines.rows import TABLE_SCALES, Baseline
from sweeps.engine.baselines.search import BaselineSearch
from sweeps.engine.baselines.stages import BaselineStages
from sweeps.engine.baselines.table import read_outcomes, write_csv, write_json, write_markdown
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.search.trial import parts_of

TWO = Baseline("two", "a paper", 0.9, {"dataset": "digits", "detector": "random", "epochs": 3}, classes=(1, 2))
CROSS = Baseline(
    "cross", "a report", 0.99, {"detector": "cnn", "protocol": "paper"}, classes=(0,), cross_validated=True
)


def plan(*rows: Baseline, **flags: Any) -> BaselinePlan:
    return plan_baselines("baselines", BaselineSettings(**{"scale": "smoke", **flags}), rows or (TWO, CROSS))


def facts() -> Attributes:
    return Attributes(optuna.create_study(), Path("study.db"))


def result(value: float) -> dict[str, Any]:
    metrics = {"test_auroc": value, "test_auroc_of_decisions": value - 0.1, "val_accuracy": value}
    return {"metrics": metrics, "seconds": 30.0, "epochs": 2, "figures": []}


def test_every_detector_has_a_row_and_every_row_a_training_that_is_legal_at_every_scale() -> None:
    assert {row.train["detector"] for row in ROWS} == set(DETECTORS)
    assert len({row.name for row in ROWS}) == len(ROWS) == 22
    for name in TABLE_SCALES:
        own = plan(*ROWS, scale=name)
        assert {own.config(job).train_seed for job in own.trainings} == set(range(own.seeds))


def test_a_smaller_scale_caps_and_never_lengthens() -> None:
    for row in ROWS:
        full, laptop = (row.config(TABLE_SCALES[name], 0, seed=0, fold=None) for name in ("full", "laptop"))
        assert laptop.epochs <= full.epochs
        assert laptop.width <= full.width
        assert laptop.images_per_class == 1500
        assert full.images_per_class is None


def test_all_rows_are_trained_with_one_seed_before_the_next_begins() -> None:
    trainings = plan(seeds=2).trainings
    assert [(job.configuration, job.index, job.seed) for job in trainings[:3]] == [(0, 1, 0), (0, 2, 0), (10, 0, 0)]
    assert len(trainings) == 2 * (2 + FOLDS)
    assert [job.seed for job in trainings] == sorted(job.seed for job in trainings)
    assert [plan().config(job).fold for job in plan().trainings] == [None, None, 0, 1, 2, 3, 4]


def test_a_row_keeps_its_number_whichever_are_chosen() -> None:
    assert [job.configuration for job in plan(only="cross").trainings] == [10, 11, 12, 13, 14]
    assert "two" not in rows_in_words(plan(only="cross"), BaselineSettings())
    with pytest.raises(UserError, match=r"'crass'.*cross"):
        plan(only="crass")
    with pytest.raises(UserError, match="cross is given twice"):
        plan(only="cross,cross")


def test_another_order_of_the_rows_is_another_plan() -> None:
    assert plan(TWO, CROSS).as_record() != plan(CROSS, TWO).as_record()
    assert plan(TWO, CROSS, only="two").as_record() == plan(TWO, only="two").as_record()


@pytest.mark.parametrize("flags", [{"seeds": 101}, {"seeds": 0}, {"seed": 2**53}])
def test_seeds_have_a_legal_range(flags: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected a whole number"):
        plan(**flags)


def test_what_is_on_record_is_not_trained_again() -> None:
    record, own = facts(), plan()
    first = BaselineSearch(record, own)
    [part] = parts_of(first.suggest("a"))
    assert (part.config.classes, part.config.train_seed, part.config.detector) == ((1,), 0, "random")
    first.on_trial_complete("a", {"result": json.dumps(result(0.8))})
    assert [job.index for job in first.newly_done()] == [1]
    assert first.newly_done() == []
    assert first.newly_ended() == []  # class 2 of the row is still to come
    again = BaselineSearch(record, own)
    assert parts_of(again.suggest("b"))[0].config.classes == (2,)
    again.on_trial_complete("b", {"result": json.dumps(result(0.9))})
    assert again.newly_ended() == [(0, 0, "complete")]
    assert len(again.newly_done()) == 2  # MLflow may not have heard of the first


def test_a_trial_that_fails_is_tried_once_more_and_one_without_a_result_has_diverged() -> None:
    search = BaselineSearch(facts(), plan(only="two"))
    search.suggest("a")
    search.suggest("b")
    search.on_trial_complete("b", {"epoch": 1})
    assert search.suggest("wait") is None  # a may have to be tried again
    search.on_trial_complete("a", error=True)
    assert parts_of(search.suggest("c"))[0].config.classes == (1,)
    search.on_trial_complete("c", error=True)
    assert search.suggest("d") == Searcher.FINISHED
    assert search.newly_ended() == [(0, 0, "failed")]
    assert search.states[search.plan.trainings[1]] == "diverged"


def test_a_training_that_diverged_is_named_with_its_fold() -> None:
    own = plan(only="cross")
    stages = cast(BaselineStages, SimpleNamespace(plan=own))
    named = [BaselineStages._training_name(stages, job) for job in own.trainings]
    assert named == [f"cross fold {fold} seed 0, class 0" for fold in range(FOLDS)]


def test_the_table_has_the_mean_over_classes_per_seed_and_the_folds_one_by_one(tmp_path: Path) -> None:
    record, own = facts(), plan(seeds=2)
    for job in own.trainings:
        value = 0.8 + 0.1 * job.seed + 0.02 * job.index if job.configuration == 0 else 0.9 + 0.01 * job.configuration
        if (job.configuration, job.seed) != (14, 1):
            record.write(job.key, result(value - 0.1 * (job.configuration >= 10)))
    two, cross = read_outcomes(own, record)
    assert two.values == pytest.approx([0.83, 0.93])
    assert two.cells[2:6] == ("0.9", "0.8800 ± 0.0707 (n 2 seeds)", "-0.0200", "0.7800")
    assert two.seconds == pytest.approx(60)
    assert cross.values == pytest.approx([0.9, 0.91, 0.92, 0.93, 0.94])  # the second seed lacks a fold
    assert cross.cells[5] == "-"
    assert cross.cells[2:5:2] == ("0.99", "-")  # digits are not what is reported on
    rows = list(csv.DictReader(write_csv(tmp_path / "t.csv", [two, cross]).read_text().splitlines()))
    assert float(rows[0]["mean"]) == pytest.approx(0.88)
    assert write_markdown(tmp_path / "t.md", [two, cross]).read_text().count("\n") == 4
    assert [path.name for path in write_bars(tmp_path, [two, cross])] == ["two.png"]
    assert json.loads(write_json(tmp_path / "t.json", own, [two]).read_text())["rows"][0]["by_class"].keys() == {
        "1",
        "2",
    }


def test_a_row_without_a_whole_seed_is_not_in_the_table() -> None:
    record, own = facts(), plan(only="two")
    record.write(own.trainings[0].key, result(0.7))
    assert read_outcomes(own, record) == []


def test_the_ends_of_many_trainings_take_a_time_that_grows_with_their_number_alone() -> None:
    own = plan(CROSS, seeds=100)
    looks, keys = [0], {training.key for training in own.trainings}
    search = BaselineSearch(facts(), own)

    class Counted(dict[Any, str]):
        def get(self, *arguments: Any) -> Any:
            looks[0] += 1
            return super().get(*arguments)

    search.states = Counted(search.states)
    ended = []
    for number in range(len(keys)):
        assert search.suggest(f"trial {number}")
        search.on_trial_complete(f"trial {number}", {"result": json.dumps(result(0.8))})
        ended += search.newly_ended()
        assert len(search.newly_done()) == 1
    assert len(set(ended)) == len(ended) == FOLDS * 100
    assert looks[0] <= 2 * len(keys)
