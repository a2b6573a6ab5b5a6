"""How a block ends, what is handed out after that, and what Optuna is told of it."""

from __future__ import annotations

import math
import random
from collections import Counter
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from sweep_parts import Sweep, record_of, small_plan, trial_of

from sweeps.engine.storage_error import StorageError

CLASSES = (0, 1, 2, 3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_ends_the_block_as_diverged_even_between_rungs(value: float) -> None:
    sweep = Sweep(record_of(small_plan((0, 1))))
    trial = sweep.start()
    assert sweep.report(trial, 1, 0.9, 0.9)
    assert not sweep.report(trial, 2, 0.9, value)
    block, told = sweep.record.blocks[0], trial_of(sweep.record, 0)
    assert (block.state, told.state, told.value) == ("diverged", TrialState.PRUNED, None)
    assert told.intermediate_values == {}, "TPE ranks pruned trials by these: a diverged one comes last"


@pytest.mark.parametrize("ending", ["stopped", "diverged", "failed"])
def test_an_ended_block_launches_nothing_more(ending: str) -> None:
    record = record_of(small_plan(CLASSES), size=1)
    sweep = Sweep(record)
    first = sweep.start()
    assert (first.config["configuration"], first.config["group"]) == (0, 0)
    if ending == "failed":
        sweep.fail(first)
    elif ending == "diverged":
        assert not sweep.report(first, 1, math.nan)
    else:
        record.write_rung(record.blocks[0], 1, 0, [0.1], stop_groups=1)
        record.close(record.blocks[0], "stopped")
    launched = []
    while trial := sweep.start():
        launched.append((trial.config["configuration"], trial.config["group"]))
    assert launched == [(number, group) for number in range(1, 6) for group in range(4)]


def test_complete_blocks_rank_as_their_means_over_all_classes() -> None:
    sweep = Sweep(record_of(small_plan((0, 1, 2), configs=3, epochs=1)))
    for values in ((0.5, 0.5, 0.5), (1.0, 0.9, 0.1), (0.7, 0.7, 0.69)):  # means 0.5, 0.667, 0.697
        assert sweep.train(sweep.start(), *values)
    assert [block.number for block in sweep.record.best(3)] == [2, 1, 0]
    assert sweep.record.study.best_trial.number == 2
    assert trial_of(sweep.record, 1).value == pytest.approx(2 / 3, abs=1e-12)


def test_a_failed_class_fails_its_block_and_never_drops_out_of_a_mean() -> None:
    sweep = Sweep(record_of(small_plan((0, 1, 2), configs=2, epochs=1), size=1))
    trials = [sweep.start() for _ in range(6)]
    for trial in (trials[0], trials[1], *trials[3:]):
        assert sweep.report(trial, 1, 0.99 if trial in trials[:2] else 0.5)
    sweep.fail(trials[2])
    for trial in (trials[0], trials[1], *trials[3:]):
        sweep.end(trial)
    block, told = sweep.record.blocks[0], trial_of(sweep.record, 0)
    assert (block.state, block.mean, told.state, told.value) == ("failed", None, TrialState.FAIL, None)
    assert [block.number for block in sweep.record.best(2)] == [1]


def test_a_trial_that_ends_without_its_last_epoch_fails_its_block() -> None:
    sweep = Sweep(record_of(small_plan()))
    trial = sweep.start()
    sweep.report(trial, 8, 0.9)
    sweep.end(trial)
    assert trial_of(sweep.record, 0).state == TrialState.FAIL


def test_a_block_is_complete_only_with_all_its_classes_at_the_last_epoch() -> None:
    sweep = Sweep(record_of(small_plan((0, 1), configs=1, epochs=1), size=1))
    first, second = sweep.start(), sweep.start()
    assert sweep.train(first, 0.9)
    assert (sweep.record.blocks[0].state, trial_of(sweep.record, 0).state) == ("running", TrialState.RUNNING)
    assert sweep.train(second, 0.7)
    assert trial_of(sweep.record, 0).state == TrialState.COMPLETE
    assert trial_of(sweep.record, 0).value == pytest.approx(0.8)


def test_a_stopped_block_is_pruned_with_its_rung_values() -> None:
    sweep = Sweep(record_of(small_plan((0, 1, 2))))
    trials = [sweep.start() for _ in range(4)]
    for trial in trials:
        for epoch in (1, 2):
            assert sweep.report(trial, epoch, 0.8, 0.8, 0.8)
    for trial in trials[:3]:
        assert sweep.report(trial, 3, 0.9, 0.9, 0.9)
    assert not sweep.report(trials[3], 3, 0.6, 0.7, 0.8)
    told = trial_of(sweep.record, 3)
    assert told.state == TrialState.PRUNED
    assert told.intermediate_values == pytest.approx({1: 0.8, 3: 0.7})


@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_configuration_is_told_to_optuna_exactly_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(small_plan(CLASSES, configs=12), size=size)
    told: Counter[int] = Counter()
    tell = record.study.tell
    monkeypatch.setattr(record.study, "tell", lambda number, *a, **k: (told.update([number]), tell(number, *a, **k)))
    sweep, luck = Sweep(record), random.Random(size)
    under_way: list[tuple[SimpleNamespace, int]] = []
    while True:
        while len(under_way) < 5 and (trial := sweep.start()):
            under_way.append((trial, 1))
        if not under_way:
            break
        trial, epoch = under_way.pop(luck.randrange(len(under_way)))
        chance = luck.random()
        if chance < 0.01:
            sweep.fail(trial)
        elif sweep.report(trial, epoch, *[math.nan if chance < 0.02 else luck.random() for _ in range(size)]):
            if epoch == 9:
                sweep.end(trial)
            else:
                under_way.append((trial, epoch + 1))
    assert told == dict.fromkeys(range(12), 1)
    assert {"complete", "stopped"} <= {block.state for block in record.blocks.values()}
    assert all(trial.state.is_finished() for trial in record.study.get_trials())


def test_a_trial_that_failed_is_handed_out_once_more_before_any_new_block() -> None:
    sweep = Sweep(record_of(small_plan((0, 3), configs=3), size=1))
    first, second = sweep.start(), sweep.start()
    assert first
    assert second
    sweep.search.on_trial_complete(first.trial_id, None, error=True)
    assert sweep.record.blocks[0].state == "running"
    again = sweep.start()
    assert again
    assert again.config == first.config
    sweep.search.on_trial_complete(again.trial_id, None, error=True)
    assert sweep.record.blocks[0].state == "failed"
    new = sweep.start()
    assert new
    assert new.config["configuration"] == 1


def test_a_record_that_cannot_be_written_closes_no_block_and_hands_out_nothing() -> None:
    sweep = Sweep(record_of(small_plan((0,), configs=3)))
    trial = sweep.start()
    assert trial
    sweep.record.broken = StorageError("study.db: database or disk is full")
    sweep.fail(trial)
    assert sweep.record.blocks[0].state == "running"
    assert sweep.start() is None
