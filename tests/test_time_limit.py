"""A sweep with a limit: the search leaves time to confirm its best, at whatever speed, and says what it left out."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import click
import pytest
from ray.tune.search import Searcher

from adcore.command_line import Duration
from adcore.errors import UserError
from adcore.train.probe import Probe
from sweeps.engine import plan_time
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.time_budget import Pace, TimedTrial, confirm_seconds, confirmable_count, pace_of
from sweeps.engine.record.clock import Clock
from sweeps.engine.record.confirmation import candidates, chosen_in_time
from sweeps.engine.record.progress import CLOCK
from sweeps.engine.time_limit import TimeLimit, left_out_in_words
from tests.refusals import refused
from tests.sweep_parts import Sweep, complete, record_of, searched, small_plan
from tests.timed_machine import STARTUP, Machine, quality

CONFIGS = 200


def plan_of(configs: int = CONFIGS) -> Plan:
    return small_plan((0, 3), configs=configs, epochs=8)


@pytest.mark.parametrize(
    "speed",
    [lambda _: 4.0, lambda _: 1.5, lambda now: 4.0 if now < 60 else 2.0, lambda now: 1.5 if now < 60 else 4.0],
    ids=["fast", "slow", "slows down", "speeds up"],
)
@pytest.mark.parametrize(("limit", "count"), [(90.0, 1), (180.0, 2)])
def test_the_search_ends_early_enough_to_confirm_the_best(limit: float, count: int, speed: Any) -> None:
    record = record_of(plan_of())
    machine = Machine(record, limit, speed)
    machine.run()
    assert not machine.timed.too_short_reason
    assert record.is_searched
    assert record.best(1)
    assert 2 <= len(record.configurations) < CONFIGS
    now = Pace(speed(machine.seconds), STARTUP)
    assert confirm_seconds(record.plan, now, count, 1) <= machine.clock.seconds_left
    assert machine.clock.seconds_left <= 0.75 * limit, "the time was not used"


@pytest.mark.parametrize(("limit", "fixed"), [(1500.0, 2.0), (3000.0, 5.0)])
def test_time_is_left_for_a_confirmation_whose_packs_are_smaller_and_slower(limit: float, fixed: float) -> None:
    record = record_of(small_plan((0,), configs=CONFIGS, epochs=60))
    machine = Machine(record, limit, lambda _: 100.0, fixed=fixed)
    machine.run()
    assert max(trial.experiments for trial in machine.clock.trials) == 10
    confirmed = _limit_of(machine).choose_confirmed(candidates(record))
    experiments = len(confirmed) * record.plan.seeds
    assert 1 <= experiments < 10
    assert machine.clock.seconds_left >= STARTUP + 61 * (fixed + experiments / 100)


def test_a_pack_is_at_least_as_fast_as_smaller_ones_and_its_epochs_as_short_as_those_of_larger_ones() -> None:
    trials = [TimedTrial(0.0, 30, 10.0, 3), TimedTrial(0.0, 50, 10.0, 3), TimedTrial(0.0, 90, 10.0, 8)]
    pace = pace_of(trials, 1.0)
    assert pace
    assert pace.speed == pytest.approx(170 / 30)
    speeds = [pace.speed_of(size) for size in (1, 2, 3, 4, 6, 8, 99)]
    assert speeds == pytest.approx([4 / 3, 8 / 3, 4.0, 4.5, 6.75, 9.0, 9.0])
    assert Pace(2.0, 0.0, {4: 3.0, 8: 5.0}).speed_of(1) == 0.75
    assert Pace(2.0, 0.0).speed_of(1) == 2.0


def test_trials_of_an_older_record_tell_of_no_size(tmp_path: Path) -> None:
    older = {"limit": 100.0, "used": 9.0, "startup": 2.0, "trials": [[1.0, 10.0, 5.0]]}
    record = record_of(small_plan(), path=tmp_path / "study.db")
    record.write(CLOCK, older)
    assert Clock(record, 100.0, 0.0, now=lambda: 0.0).pace == Pace(2.0, 2.0)


def test_with_time_enough_the_search_is_that_of_a_sweep_without_a_limit() -> None:
    record = record_of(plan_of(24))
    Machine(record, 10_000, lambda _: 5.0).run()
    whole = searched(plan_of(24), quality)
    assert len(record.configurations) == len(whole.configurations) == 24
    assert [each.params for each in record.configurations.values()][:3] == list(plan_of().space.points.values())
    assert record.ledger.counts()["complete"] >= whole.plan.min_complete
    assert record.ladder.budget == whole.ladder.budget


def test_a_time_that_is_too_short_is_said_once_the_speed_is_known_and_can_be_made_longer(tmp_path: Path) -> None:
    record = record_of(plan_of(), path=tmp_path / "study.db")
    machine = Machine(record, 60.0, lambda _: 0.3)
    machine.run()
    assert (
        "the time limit is too short: to train and confirm one configuration takes about"
        in machine.timed.too_short_reason
    )
    assert machine.clock.seconds_left > 0, "said in time"
    assert not record.is_searched
    with pytest.raises(UserError, match="resume it with a longer one"):
        _limit_of(machine).require_time()
    longer = _limit_of(machine).longer["time_limit"]
    assert longer % 60 == 0
    assert longer < 1000
    record = record_of(plan_of(), path=tmp_path / "study.db")
    resumed = Machine(record, longer, lambda _: 0.3)
    resumed.run()
    assert record.best(1)
    assert _limit_of(resumed).longer == {}


def _limit_of(machine: Machine) -> TimeLimit:
    limit = TimeLimit(machine.record, machine.clock, 1)
    limit.timed_search = machine.timed
    return limit


def test_a_pack_that_resumes_and_reports_at_once_what_it_had_trained_counts_at_the_speed_of_training() -> None:
    record = record_of(plan_of())
    machine = Machine(record, 120.0, lambda _: 4.0)
    trial = machine.start()
    assert trial
    for epoch in range(1, trial.config["until"] + 1):
        if epoch < trial.config["until"]:  # in its checkpoint
            machine.images_per_second = 4.0 * machine.rates
            Sweep.report(machine, trial, epoch)
        else:
            machine.end(trial, machine.report(trial, epoch))
    assert machine.clock.pace
    assert machine.clock.pace.speed <= 4.0


def test_where_all_so_far_have_diverged_one_more_begins_while_there_is_time_for_it() -> None:
    for limit in range(20, 100, 4):
        record = record_of(plan_of())
        machine = Machine(record, limit, lambda _: 1.0)
        machine.quality = lambda number, *_: math.nan if number == 0 else 0.8
        machine.run()
        assert record.best(1) or machine.timed.too_short_reason, limit


def test_the_time_in_which_it_did_not_run_does_not_count(tmp_path: Path) -> None:
    record = record_of(plan_of(), path=tmp_path / "study.db")
    first = Machine(record, 120.0, lambda _: 5.0)
    first.run(trials=4)
    first.clock.note(now=True)
    again = record_of(plan_of(), path=tmp_path / "study.db")
    second = Machine(again, 120.0, lambda _: 5.0, at=10**6)
    assert second.clock.seconds_used == pytest.approx(first.clock.seconds_used)
    assert second.clock.pace == first.clock.pace
    second.run()
    assert again.is_searched
    assert 0 < second.clock.seconds_left < 120 - first.clock.seconds_used


def test_a_default_that_is_the_best_is_confirmed_even_if_there_is_time_for_one_alone() -> None:
    plan = dataclasses.replace(plan_of(4), best=2)
    record = complete(record_of(plan), 0.9, 0.6, 0.8, 0.7)
    clock = Clock(record, 1000.0, -1000.0, now=lambda: 0.0)
    clock.note_trial(TimedTrial(0.0, 100, 50.0))
    assert [each.number for each in TimeLimit(record, clock, 1).choose_confirmed(candidates(record))] == [0]


@pytest.mark.parametrize(("left", "chosen"), [(1000.0, [3, 2, 0]), (52.0, [3, 0]), (41.0, [3]), (-5.0, [3])])
def test_what_there_is_time_for_is_confirmed_the_best_first_then_the_default(left: float, chosen: list[int]) -> None:
    plan = dataclasses.replace(plan_of(4), best=2)
    record = complete(record_of(plan), 0.6, 0.7, 0.8, 0.9)
    clock = Clock(record, 1000.0, left - 1000.0, now=lambda: 0.0)
    clock.note_trial(TimedTrial(0.0, 100, 50.0))
    limit = TimeLimit(record, clock, 1)
    assert confirmable_count(plan, Pace(2.0, 0.0), 3, 1, left) == len(chosen)
    assert [each.number for each in limit.choose_confirmed(candidates(record))] == chosen
    assert [each.number for each in chosen_in_time(record, candidates(record))] == chosen, "without a limit, too"
    lines = "\n".join(left_out_in_words(record, candidates(record)))
    assert ("There was no time to confirm" in lines) == (len(chosen) < 3)
    assert ("0 (default)" in lines) == (0 not in chosen)
    late = TimeLimit(record, Clock(record, 10**6, 0.0, now=lambda: 0.0), 1)
    assert [each.number for each in late.choose_confirmed(candidates(record))] == chosen, (
        "a resumed sweep decides nothing anew"
    )


def test_a_sweep_that_never_had_a_limit_confirms_all_and_says_nothing_of_time() -> None:
    record = complete(record_of(dataclasses.replace(plan_of(4), best=2)), 0.6, 0.7, 0.8, 0.9)
    assert chosen_in_time(record, candidates(record)) == candidates(record)
    assert left_out_in_words(record, candidates(record)) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("90m", 5400), ("3h", 10800), ("1h30m", 5400), ("2d", 172800), ("1.5h", 5400), ("1d1s", 86401)],
)
def test_times_on_the_command_line(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "3", "h", "3 h", "3H", "-3h", "1m1h", "3h30", "nan", "1e3s", "٣h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a time such as 45s, 90m, 3h, 1h30m or 2d"):
        Duration().convert(text, None, None)


def test_gpu_hours_are_shared_by_what_trains_at_a_time() -> None:
    settings = SweepSettings(gpu_hours=12.0)
    assert settings.limit_seconds(4, 1.0) == 3 * 3600
    assert settings.limit_seconds(4, 0.5) == 6 * 3600
    with pytest.raises(UserError, match="--gpu-hours 12: trials take no GPU here; give --time-limit"):
        settings.limit_seconds(4, 0.0)
    assert SweepSettings(time_limit=60.0).limit_seconds(4, 1.0) == 60
    assert SweepSettings().limit_seconds(4, 1.0) is None


def _clock(path: Path, gpus: float, started_at: float, seconds: float) -> Clock:
    """That of a sweep with two GPU hours, whose driver has run for so many seconds."""
    return Clock(
        record_of(small_plan(), path=path), 7200 / gpus, started_at, now=lambda: started_at + seconds, gpus=gpus,
        is_gpu_time=True,
    )  # fmt: skip


def test_gpu_hours_are_the_same_hours_when_a_sweep_is_resumed_with_other_gpus(tmp_path: Path) -> None:
    first = _clock(tmp_path / "study.db", 4.0, 0.0, 900.0)
    assert (first.gpu_seconds_used, first.seconds_left) == (3600.0, 900.0)
    first.note(now=True)
    second = _clock(tmp_path / "study.db", 1.0, 10_000.0, 600.0)
    assert (second.seconds_used, second.gpu_seconds_used) == (1500.0, 4200.0)
    assert (second.seconds_left, second.limit) == (3000.0, 4500.0)


def test_an_older_record_of_seconds_alone_is_read_as_if_there_had_always_been_as_many_gpus(tmp_path: Path) -> None:
    older = {"limit": 1800.0, "used": 900.0, "startup": 2.0, "trials": [[1.0, 10.0, 5.0]]}
    record_of(small_plan(), path=tmp_path / "study.db").write(CLOCK, older)
    assert _clock(tmp_path / "study.db", 2.0, 10_000.0, 0.0).seconds_left == 2700.0


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--time-limit", "90"], "'90': expected a time such as 45s"),
        (["--time-limit", "0s"], "> 0"),
        (["--gpu-hours", "-1"], "> 0"),
        (["--gpu-hours", "1", "--time-limit", "1h"], "give one"),
        (
            ["--time-limit", "1h", "--objective", "per-class"],
            "cannot be combined with --objective per-class",
        ),
    ],
)
def test_limits_that_cannot_be_planned_for_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(arguments, capsys)


def test_nothing_is_left_to_hand_out_when_the_time_is_up() -> None:
    record = complete(record_of(plan_of()), 0.9)
    machine = Machine(record, 100.0, lambda _: 1.0)
    machine.clock.note_trial(TimedTrial(1.0, 10, 10.0))
    machine.seconds = 99.0
    assert machine.timed.suggest("trial") == Searcher.FINISHED
    assert record.is_searched


def test_the_plan_shows_how_the_time_would_be_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(seconds: float) -> str:
        settings = SweepSettings(scale="smoke", time_limit=seconds, max_concurrent=1, gpus_per_trial=0)
        [line] = [each for each in plan_in_words(plan_of(), settings).splitlines() if "  limit " in each]
        return line

    assert "--plan --probe" in shown(3600.0) or "measured speed" in shown(3600.0)
    monkeypatch.setattr(plan_time, "known_probe", lambda *_: Probe("a CPU", 2420.0))  # ten class-epochs in a second
    kept = 20 + 1.5 * (10 + 2 * 2 * 9 / 10)
    assert f"1 h 0 min: confirm and final at most {kept:.0f} s" in shown(3600.0)
    assert f"about {(3600 - kept) * 10:.0f} class-epochs" in shown(3600.0)
    assert "30 s, too short: confirm" in shown(30.0)
