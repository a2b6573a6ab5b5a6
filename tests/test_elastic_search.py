"""The searches on a cluster that grows and shrinks: what is handed out, what is ready, trials that lose their node."""

from __future__ import annotations

import dataclasses
import random
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from sweeps.engine.live import display as display_module
from sweeps.engine.live.display import Display
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.clock import Clock
from sweeps.engine.record.confirmation import candidates
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.confirm_search import ConfirmSearch
from sweeps.engine.search.timed_search import TimedSearch
from sweeps.engine.time_limit import TimeLimit
from tests.sweep_parts import Sweep, complete, level, record_of, small_plan

CLASSES = (0, 1, 2, 3)


def _search(configs: int, *, limit: int = 4, slots: int = 1) -> tuple[SweepRecord, Sweep]:
    record = record_of(dataclasses.replace(small_plan(CLASSES, configs=configs), sampler="random"))
    return record, Sweep(record, level, limit=limit, slots=slots)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), configs=st.integers(1, 24), limit=st.integers(1, 12))
def test_whatever_comes_and_goes_everything_is_trained_once_and_what_is_ready_is_handed_out(
    seed: int, configs: int, limit: int
) -> None:
    record, sweep = _search(configs, limit=limit)
    under_way, chance = [], random.Random(seed)
    while True:
        slots = chance.randint(1, 9)
        sweep.search.resize(slots)
        while len(under_way) < slots:
            ready = sweep.search.ready_count
            trial = sweep.start()
            if trial is None:
                assert not ready or not record.classes, "asked for, and nothing to train"
                break
            under_way.append(trial)
            experiments = [(p.configuration, i) for each in under_way for p in each.parts for i in p.config.classes]
            assert len(experiments) == len(set(experiments)), "trained in two places"
        if not under_way:
            break
        trial = under_way.pop(chance.randrange(len(under_way)))
        if chance.random() < 0.25:
            sweep.search.lost_trial = trial.trial_id
            sweep.fail(trial)
        else:
            sweep.train(trial)
    assert record.is_searched
    assert sweep.search.ready_count == 0
    assert record.ledger.counts()["failed"] == record.ledger.counts()["running"] == 0
    assert len(record.configurations) <= configs
    assert len(record.best(configs)) >= record.plan.min_complete


def test_new_slots_are_used_and_no_more_than_a_quarter_of_the_configurations_is_asked_for() -> None:
    _, sweep = _search(24)
    first = sweep.start()
    assert first
    assert sweep.search.ready_count == 5, "of six at a time, one is under way"
    sweep.train(first)
    sweep.search.resize(3)
    trials = [sweep.start() for _ in range(3)]
    assert all(trials)
    assert sweep.search.ready_count == 3
    sweep.search.resize(8)
    assert sum(sweep.start() is not None for _ in range(5)) == 5, "slots that are there are used"
    assert sweep.search.ready_count == 0


def test_a_trial_that_loses_its_node_again_and_again_goes_on_and_one_that_crashes_fails() -> None:
    record, sweep = _search(4, limit=1)
    configs = []
    for _ in range(5):
        trial = sweep.start()
        assert trial
        configs.append(trial.config)
        sweep.report(trial, 1)
        sweep.search.lost_trial = trial.trial_id
        sweep.fail(trial)
    assert record.configurations[0].state == "running"
    for _ in range(2):
        crashed = sweep.start()
        assert crashed
        configs.append(crashed.config)
        sweep.search.lost_trial = ""
        sweep.fail(crashed)
    assert record.configurations[0].state == "failed"
    assert configs == [configs[0]] * 7


def test_the_confirmation_is_cut_anew_for_the_slots_that_are_there(tmp_path: Path) -> None:
    record = complete(record_of(small_plan(CLASSES, configs=3, epochs=2)), 0.8, 0.9, 0.7)
    search = ConfirmSearch("confirm", [(record, candidates(record))], SweepHome(tmp_path), limit=4, slots=1)
    sweep = Sweep(record, level, search=search)
    assert search.ready_count == 2
    first = sweep.start()
    assert first
    search.resize(2)
    sizes = [sum(len(part.config.classes) for part in job.parts) for job in search.remaining_jobs]
    assert sizes == [2, 2]
    assert search.ready_count == 2
    second = sweep.start()
    assert second
    search.resize(1)
    for trial in (second, first, *sweep.run()):
        if trial.trial_id in search.jobs:
            sweep.train(trial)
    assert not search.remaining_jobs
    assert all(record.complete_confirmation(each.number, 1) for each in candidates(record))


@pytest.mark.parametrize(("slots", "left"), [(4, 450.0), (1, 1800.0)])
def test_gpu_hours_last_the_longer_the_fewer_gpus_there_are(slots: int, left: float, tmp_path: Path) -> None:
    seconds = 100.0
    assert SweepSettings(gpu_hours=1.0).limit_seconds(2, 1.0) == 1800
    for is_gpu_time, expected in ((False, 900), (True, left)):
        record = record_of(small_plan())
        clock = Clock(record, 1000.0, 0.0, now=lambda: seconds, gpus=2.0, is_gpu_time=is_gpu_time)
        assert clock.seconds_left == 900
        TimeLimit(record, clock, 2, gpus=1.0).step(Display(Console(file=StringIO())), slots)
        assert clock.seconds_left == expected
    timed = TimedSearch("search", record, clock, limit=4, slots=2)
    timed.resize(slots)
    assert timed.usual_max_new == timed.max_new


def test_the_display_shows_the_slots_and_the_time_left_follows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 1000.0
    monkeypatch.setattr(display_module.time, "monotonic", lambda: seconds)
    display = Display(Console(file=(file := StringIO()), width=140))
    display.set_slots(2)
    display.begin("search", 100, 0)
    seconds += 40
    display.add_epochs("a", 40, 1.0)
    display.update("counts", None, event=True)
    display.set_slots(4)
    display.update("counts", None, event=True)
    seconds += 10
    display.add_epochs("a", 20, 1.0)
    display.set_slots(0)
    display.update("counts", None, event=True)
    assert file.getvalue().splitlines() == [
        "search: counts | 2 slots | 1 images/s | at most 60 s left",
        "the cluster's nodes have changed: 4 slots for trials, 2 before",
        "search: counts | 4 slots | 1 images/s | at most 30 s left",
        "the cluster's nodes have changed: 0 slots for trials, 4 before",
        "search: counts | no slot, waiting for a node | 1 images/s | time left unknown",
    ]
