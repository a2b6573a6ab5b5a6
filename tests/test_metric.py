"""--metric: what a sweep ranks by, from the search to the results; the FPR is minimised and shown as it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.evaluation.test_scores import TestScores as Scores
from adcore.metric_names import LABELS, goodness, in_words
from adcore.metrics import auroc_influence, measure, measure_one
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.confirmation import Confirmation, candidates, confirmations
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.resume import plan_with_defaults
from sweeps.engine.results import resampling
from sweeps.engine.results.resampling import resampled_deviations
from sweeps.engine.results.summary import confirmed_means, final_metrics, summarise
from sweeps.engine.results.test_result import TestResult as Result
from sweeps.engine.show.status import status_of
from sweeps.engine.tracking.view import view_state
from sweeps.gan_loss_weights import SPACE
from tests.shown_records import begun
from tests.sweep_parts import Sweep, record_of, searched, small_plan, trial_of


def plan_of(metric: str, *, configs: int = 8, classes: tuple[int, ...] = (0, 3)) -> Plan:
    return dataclasses.replace(small_plan(classes, configs=configs), metric=metric)


def by_number(number: int, index: int, epoch: int) -> float:
    return 0.5 + number / 100 + index / 1000


def test_each_metric_has_its_name_and_only_the_fpr_is_better_if_lower() -> None:
    assert {name: goodness(name, 0.25) for name in LABELS} == {"auroc": 0.25, "ap": 0.25, "fpr95": 0.75}
    assert in_words("fpr95") == "FPR at 95 % TPR (lower is better)"
    assert in_words("auroc") == "AUROC"


def test_one_metric_is_the_same_as_among_all() -> None:
    random = np.random.default_rng(0)
    truth, values = random.random(200) < 0.3, random.random(200).round(1)
    every = measure(torch.from_numpy(values), torch.from_numpy(truth))
    assert {name: measure_one(name, truth, values) for name in LABELS} == {name: every[name] for name in LABELS}


@pytest.mark.parametrize(("metric", "best"), [("auroc", 7), ("ap", 7), ("fpr95", 0)])
def test_the_search_takes_the_best_of_the_metric_to_the_top(metric: str, best: int) -> None:
    record = searched(plan_of(metric), by_number)
    assert record.best(1)[0].number == best
    assert record.best(1)[0].mean == pytest.approx(0.5 + best / 100 + 0.0015), "its real value"
    assert record.study.best_trial.number == best
    assert record.study.best_value == pytest.approx(goodness(metric, record.best(1)[0].mean or 0))
    assert record.ladder.ranking(0)[0] == best
    stopped = next(each for each in record.configurations.values() if each.state == "stopped")
    reported = trial_of(record, stopped.number).intermediate_values
    assert reported[0] == pytest.approx(goodness(metric, record.value_at(stopped, 0)))


def test_the_sampler_is_told_what_is_better() -> None:
    """Where a parameter is the value itself, the later proposals of a search for the lowest are lower."""

    def late(metric: str) -> float:
        record = record_of(plan_of(metric, configs=30, classes=(0,)))
        Sweep(record, lambda number, index, epoch: record.configurations[number].params["weight_abc"] / 10).run()
        return fmean(each.params["weight_abc"] for each in record.configurations.values() if each.number >= 15)

    assert late("fpr95") < late("auroc")


def test_the_confirmation_is_ranked_by_it_too() -> None:
    record = searched(plan_of("fpr95"), by_number)
    chosen = candidates(record)
    for each in chosen:
        record.write_confirmed(each.number, 1, {0: 0.4 - each.number / 100, 3: 0.4 - each.number / 100})
    found = confirmations(record, chosen)
    assert [each.number for each in found] == sorted((each.number for each in chosen), reverse=True)
    assert found[0].mean == min(each.mean for each in found)


def test_plan_record_and_flags_hold_it(tmp_path: Path) -> None:
    settings = SweepSettings(scale="smoke", metric="fpr95")
    plan = make_plan("gan_loss_weights", settings, SPACE)
    assert "metric     FPR at 95 % TPR (lower is better)" in plan_in_words(plan, settings)
    stored = json.loads(json.dumps(plan.as_record()))
    assert stored["metric"] == "fpr95"
    del stored["metric"]
    assert plan_with_defaults(stored)["metric"] == "auroc", "of a version without the flag"
    begun(tmp_path / "a", plan)
    assert status_of(SweepHome(tmp_path / "a")).metric == "fpr95"


def test_mlflows_table_shows_and_sorts_by_it() -> None:
    state = json.loads(view_state("id", ["width"], "fpr95"))
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val_fpr95_mean`", True)
    assert "metrics.`test_fpr95_mean`" in state["selectedColumns"]
    assert json.loads(view_state("id", []))["orderByAsc"] is False


def scores() -> Scores:
    """Those of 1,200 images of ten classes, two experiments; anomalies score higher by half a deviation."""
    config = TrainConfig(dataset="digits", classes=(0, 3))
    labels = torch.arange(1200) % 10
    draw = torch.Generator().manual_seed(0)
    shift = torch.stack([(labels != index).double() for index in config.classes], 1) / 2
    return Scores(config, torch.randn(1200, 2, generator=draw, dtype=torch.float64) + shift, labels)


def test_resamples_give_the_variance_that_placements_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 500)  # of a variance, to a deviation of sqrt(2 / 500) = 6 %
    scored = scores()
    exact = auroc_influence(scored.scores[:, 0], scored.anomalous(0)[""])
    found = resampled_deviations(scored, 0, "auroc")[""]
    assert float(found @ found) == pytest.approx(float(exact @ exact), rel=0.1)


def test_resamples_of_metrics_without_placements_are_the_same_each_time() -> None:
    scored = scores()
    for metric in ("ap", "fpr95"):
        same, again = (resampled_deviations(scored, 0, metric)[""] for _ in range(2))
        assert np.array_equal(same, again)
        assert 0 < float(same @ same) < 0.01


def test_results_are_named_after_the_metric_and_compared_by_it() -> None:
    record = searched(plan_of("fpr95"), by_number)
    chosen = record.best(2)
    confirmed = [Confirmation(each, {1: {0: 0.2, 3: 0.3}, 2: {0: 0.21, 3: 0.31}}) for each in chosen]
    measured = {
        (each.number, seed): {index: {"auroc": 0.9, "fpr95": 0.3 + place / 10 + seed / 100} for index in (0, 3)}
        for place, each in enumerate(chosen)
        for seed in (1, 2)
    }
    test = Result(measured, {"": np.eye(4) * 1e-4}, 1000, metric="fpr95")
    assert Result.from_record(json.loads(json.dumps(test.as_record()))).metric == "fpr95"
    summary = summarise(confirmed, test, {}, validation_images=500, same_training=True)
    assert summary.test[""].value == pytest.approx(0.315)
    assert "leads configuration" in summary.sentence
    assert "by 0.1000 in FPR at 95 % TPR (95 % interval" in summary.sentence
    means = confirmed_means(confirmed, test)[chosen[0].number]
    assert means == {"confirm_fpr95_mean": pytest.approx(0.255), "test_fpr95_mean": pytest.approx(0.315)}
    found = final_metrics(summary, test)
    assert {"val_fpr95_mean", "val_fpr95_0", "test_fpr95_mean_low", "test_auroc_mean"} <= set(found)
