"""Several sessions of a sweep, and several sweeps: which runs each writes to, and that nothing is told twice."""

from __future__ import annotations

import dataclasses
import time
import uuid
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.keys import SWEEP
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.runs import require_known_runs
from sweeps.engine.tracking.writer import MlflowWriter
from tests.mlflow_parts import CLASSES, report, runs_of, writer_of
from tests.sweep_parts import Sweep, record_of, small_plan
from tests.sweep_process import poll


def test_a_second_driver_goes_on_with_the_same_runs_and_repeats_no_step(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan((0,), epochs=3, configs=1)
    first, sweep = writer_of(uri, sweep_id, outbox), Sweep(record_of(plan))
    trial, tracking = sweep.start(), Tracking(outbox, plan, "s")
    assert trial
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    for epoch in (1, 2):
        tracking.log_epochs("search", [(trial.parts[0], report(epoch, c0=epoch / 10))])
        # a worker that was started again
        tracking.log_epochs("search", [(trial.parts[0], report(epoch, c0=epoch / 10))])
    assert first.close()
    before = runs_of(uri, sweep_id)

    again = Outbox(outbox.path)
    second, tracking = writer_of(uri, sweep_id, again), Tracking(again, plan, "s")
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    for epoch in (1, 2, 3):
        tracking.log_epochs("search", [(trial.parts[0], report(epoch, c0=epoch / 10))])
    tracking.close_configuration("search", 0, 0, "complete")
    for _ in range(2):  # a finished sweep that is resumed prints its figures once more
        tracking.close_sweep("complete", {"test_auroc_mean": 0.9}, [])
    assert second.close()
    runs = runs_of(uri, sweep_id)
    runs.assert_whole()
    for key, run in before.by_key.items():
        assert runs.by_key[key].info.run_id == run.info.run_id
    assert runs.history("search/0/0/0", "val_auroc") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert runs.history(SWEEP, "test_auroc_mean") == [(0, 0.9)]


def test_classes_that_were_reported_before_and_after_a_kill_have_their_mean(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan((0, 3), epochs=1, configs=1)
    for index, box in zip((0, 3), (outbox, Outbox(outbox.path)), strict=True):
        part, tracking = Part(0, dataclasses.replace(plan.base, classes=(index,))), Tracking(box, plan, "split")
        tracking.open_sweep("search")
        tracking.open_trial("search", [part])
        tracking.log_epochs("search", [(part, report(1, **{f"c{index}": 0.6 + index / 100}))])
    writer = writer_of(uri, sweep_id, outbox)
    assert writer.close()
    assert runs_of(uri, sweep_id).by_key["search/0/0"].data.metrics["val_auroc_mean"] == pytest.approx(0.615)


def test_runs_that_the_outbox_knows_and_mlflow_does_not_are_named(
    uri: str, sweep_id: str, outbox: Outbox, writer: MlflowWriter
) -> None:
    outbox.put(RunUpdate(SWEEP, name="s", tags={"level": "sweep", "stage": "search"}))
    poll(lambda: SWEEP in writer.run_writer.ends, "the run")
    require_known_runs(uri, "test", sweep_id, outbox)
    outbox.note_run("search/0/0", "0123456789abcdef")
    with pytest.raises(UserError, match=r"lacks 1 of this sweep's 2 runs;") as refused:
        require_known_runs(uri, "test", sweep_id, outbox)
    assert str(outbox.path) in str(refused.value)
    other = outbox.path.with_name("other.db")
    with pytest.raises(UserError, match=r"lacks 2 of this sweep's 2 runs;"):
        require_known_runs(f"sqlite:///{other}", "test", sweep_id, outbox)
    assert not other.exists()
    writer.client = None  # as after a failure
    poll(lambda: writer.run_writer.refusals, "another connection")
    outbox.put(RunUpdate("search/0/0", SWEEP, metrics=[("m", 1.0, 1, 1)]))
    assert not writer.close(patience=3), "nor is it made again by a sweep that was under way"
    assert "its run 0123456789abcdef is gone" in writer.reason
    assert set(runs_of(uri, sweep_id).by_key) == {SWEEP}


def test_another_sweep_of_the_same_experiment_has_runs_of_its_own(uri: str, sweep_id: str, tmp_path: Path) -> None:
    other = uuid.uuid4().hex
    for each in (sweep_id, other):
        writer = writer_of(uri, each, Outbox(tmp_path / f"{each}.db"))
        writer.outbox.put(RunUpdate(SWEEP, name=each, tags={"level": "sweep", "stage": "search"}))
        assert writer.close()
    ids = [runs_of(uri, each).by_key[SWEEP].info.run_id for each in (sweep_id, other)]
    assert len(set(ids)) == 2


def test_a_finished_run_keeps_its_end_and_its_parameters_when_it_is_told_again(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan(CLASSES, epochs=1, configs=1)
    ends: list[int] = []
    for weight in (0.5, 0.7):
        writer = writer_of(uri, sweep_id, outbox)
        tracking = Tracking(outbox, plan, "again")
        if not ends:
            tracking.open_sweep("final")
        tracking.close_sweep("complete", {"test_auroc_mean": 0.9}, [], params={"weight_abc": weight})
        assert writer.close()
        sweep = runs_of(uri, sweep_id).by_key[SWEEP]
        ends.append(sweep.info.end_time)
        assert sweep.data.params["weight_abc"] == "0.5", "MLflow refuses to change a parameter"
        time.sleep(0.01)
    assert ends[0] == ends[1]


def _confirmed(outbox: Outbox, *numbers: int) -> Tracking:
    """A session in which these configurations were trained with two seeds, and diverged; it is killed then."""
    plan = dataclasses.replace(small_plan((3,), epochs=1, configs=2), seeds=2)
    tracking = Tracking(outbox, plan, "s")
    tracking.open_sweep("confirm")
    for number in numbers:
        for seed in plan.confirm_seeds:
            tracking.open_trial("confirm", [Part(number, dataclasses.replace(plan.base, train_seed=seed))])
            tracking.close_configuration("confirm", number, seed, "diverged")
    return tracking


def test_the_end_of_a_sweep_is_also_that_of_configurations_whose_seeds_ended_in_a_session_that_was_killed(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    _confirmed(outbox, 0, 1)
    again = Outbox(outbox.path)
    writer, later = writer_of(uri, sweep_id, again), _confirmed(again)
    later.close_confirmed("confirm", 0, {"test_auroc_mean": 0.9}, opening=0)
    later.close_sweep("complete", {}, [])
    assert writer.close()
    runs = runs_of(uri, sweep_id)
    assert {run.info.status for run in runs.runs} == {"FINISHED", "FAILED"}, "none is left under way"
    assert {runs.by_key[key].data.tags["state"] for key in (SWEEP, "confirm/0")} == {"complete"}
    assert {runs.by_key[key].data.tags["state"] for key in ("confirm/1", "confirm/1/1")} == {"diverged"}


def test_a_configuration_that_is_complete_stays_so_when_a_later_session_fails(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    first = _confirmed(outbox, 0, 1)
    first.close_confirmed("confirm", 0, {}, opening=0)
    first.close_sweep("failed", {}, [])
    again = Outbox(outbox.path)
    writer, later = writer_of(uri, sweep_id, again), _confirmed(again)
    later.close_sweep("failed", {}, [])
    assert writer.close()
    found = {key: run.data.tags["state"] for key, run in runs_of(uri, sweep_id).by_key.items() if key.count("/") == 1}
    assert found == {"confirm/0": "complete", "confirm/1": "diverged"}
