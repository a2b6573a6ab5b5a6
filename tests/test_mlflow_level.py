"""--mlflow-level: which of the search's runs MLflow has, and what of the others."""

from __future__ import annotations

import dataclasses

import pytest

from adcore.errors import UserError
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.keys import SWEEP
from sweeps.engine.tracking.outbox import Outbox
from sweeps.engine.tracking.writer import MlflowWriter
from tests.mlflow_parts import report, runs_of, writer_of
from tests.sweep_parts import small_plan


@pytest.mark.parametrize(("level", "searched"), [("config", {"search/0/0"}), ("sweep", set[str]())])
def test_at_a_higher_level_the_search_has_fewer_runs_and_the_confirmation_all(
    uri: str, sweep_id: str, writer: MlflowWriter, level: str, searched: set[str]
) -> None:
    plan = dataclasses.replace(small_plan((3, 6), epochs=1, configs=1), seeds=1)
    tracking = Tracking(writer.outbox, plan, level)
    tracking.level = level
    for stage, seed in (("search", 0), ("confirm", 1)):
        tracking.open_sweep(stage)
        part = Part(0, dataclasses.replace(plan.base, train_seed=seed))
        tracking.open_trial(stage, [part])
        tracking.log_epochs(stage, [(part, report(1, c3=0.7, c6=0.9))])
        if stage == "search":
            tracking.log_rung(stage, 0, seed, rung=1, value=0.8, classes=[3, 6])
        tracking.close_configuration(stage, 0, seed, "complete")
    tracking.close_sweep("complete", {}, [])
    assert writer.close()
    runs = runs_of(uri, sweep_id)
    assert set(runs.by_key) == {SWEEP, *searched, "confirm/0/1", "confirm/0/1/3", "confirm/0/1/6"}
    assert {run.info.status for run in runs.runs} == {"FINISHED"}
    for key in searched:
        metrics = runs.by_key[key].data.metrics
        assert metrics["val_auroc_mean"] == metrics["val_auroc_at_rung"] == pytest.approx(0.8)
        assert (metrics["val_auroc_3"], metrics["val_auroc_6"]) == (0.7, 0.9)


def test_runs_of_classes_that_a_sweep_had_at_another_level_end_with_their_configuration(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan((3, 6), epochs=2, configs=2)
    for level, epoch in (("class", 1), ("config", 2)):  # the first is cut short, its last runs not delivered
        tracking = Tracking(Outbox(outbox.path), plan, "s")
        tracking.level = level
        tracking.open_sweep("search")
        for number in range(epoch):
            part = Part(number, plan.base)
            tracking.open_trial("search", [part])
            tracking.log_epochs("search", [(part, report(epoch, c3=0.7, c6=0.9))])
    for number in range(2):
        tracking.close_configuration("search", number, 0, "complete")
    writer = writer_of(uri, sweep_id, outbox)
    assert writer.close()
    runs = runs_of(uri, sweep_id)
    assert set(runs.by_key) == {SWEEP, "search/0/0", "search/0/0/3", "search/0/0/6", "search/1/0"}
    assert {run.info.status for key, run in runs.by_key.items() if key != SWEEP} == {"FINISHED"}
    assert runs.history("search/0/0/3", "val_auroc") == [(1, 0.7)]
    assert len(runs.history("search/0/0", "val_auroc_mean")) == 2


def test_classes_have_runs_of_their_own_unless_a_search_is_large_or_the_flag_says_otherwise() -> None:
    assert [SweepSettings().level_for(configs) for configs in (160, 200, 201)] == ["class", "class", "config"]
    assert SweepSettings(mlflow_level="class").level_for(10**5) == "class"
    assert "mlflow_level" in SweepSettings.changeable, "a resume may change it"
    with pytest.raises(UserError, match="unknown mlflow level 'trial'"):
        SweepSettings(mlflow_level="trial")
