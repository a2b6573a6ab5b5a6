"""The search: packs that go up the ladder, whatever fails, diverges or is killed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.search import Searcher

from adcore.config import TrainConfig
from sweeps.engine.planning.space import Choice, LogUniform
from sweeps.engine.record.record import SweepRecord
from tests.sweep_parts import Sweep, level, record_of, searched, small_plan

CLASSES = (0, 1, 2, 3)


def trained(record: SweepRecord) -> dict[int, dict[int, int]]:
    """Epochs by configuration and class."""
    return {n: {index: len(own) for index, own in each.curves.items()} for n, each in record.configurations.items()}


def test_the_first_is_trained_on_all_classes_and_gives_their_order_lowest_auroc_first() -> None:
    record = record_of(small_plan(CLASSES, configs=8))
    sweep = Sweep(record, level)
    assert record.classes == ()
    first = sweep.start()
    assert first
    assert [(part.configuration, part.config.classes) for part in first.parts] == [(0, CLASSES)]
    assert sweep.start() is None, "without an order nothing else can begin"
    sweep.train(first)
    last = {index: level(0, index, 5) for index in CLASSES}
    assert record.classes == tuple(sorted(CLASSES, key=last.__getitem__))
    following = sweep.start()
    assert following
    assert {part.config.classes for part in following.parts} == {(2,)}


def test_a_known_order_is_taken_from_the_beginning() -> None:
    plan = small_plan(CLASSES, configs=16)
    fashion = dataclasses.replace(plan, base=dataclasses.replace(plan.base, dataset="fashion-mnist"))
    assert fashion.class_order == (2, 0, 3, 1)
    first = Sweep(record_of(fashion), level, limit=3).start()
    assert first
    assert [part.config.classes for part in first.parts] == [(2,)] * 3


def test_what_is_promoted_trains_only_what_its_rung_adds() -> None:
    record = record_of(small_plan(CLASSES, configs=16))
    behind: dict[tuple[int, int], int] = {}
    sweep = Sweep(record, level)
    while trial := sweep.start():
        for part in trial.parts:
            for index in part.config.classes:
                assert part.start == behind.get((part.configuration, index), 0)
                behind[part.configuration, index] = trial.config["until"]
        sweep.train(trial)
    assert behind == {(n, i): epochs for n, own in trained(record).items() for i, epochs in own.items()}


def test_the_best_is_found_and_the_others_stay_where_they_were() -> None:
    record = searched(small_plan(CLASSES, configs=24), level)
    assert record.is_searched
    assert record.best(1)[0].number == 23
    counts = record.ledger.counts()
    assert counts["complete"] >= 2
    assert counts["complete"] + counts["stopped"] == 24
    assert record.ladder.spent <= record.plan.budget + 2 * 4 * 8, "but for what has to be complete at the least"
    assert all(
        len(each.curves) < 4 for each in record.configurations.values() if each.state == "stopped" and each.number
    )


def test_a_complete_ones_mean_is_that_of_all_classes_after_the_last_epoch() -> None:
    record = searched(small_plan(CLASSES, configs=8), level)
    for each in record.best(8):
        assert each.mean == pytest.approx(sum(level(each.number, index, 8) for index in CLASSES) / 4)


def test_one_class_is_a_ladder_of_epochs() -> None:
    record = searched(small_plan((3,), configs=16), level)
    assert {len(own[3]) for own in (each.curves for each in record.configurations.values())} == {5, 8}


def test_a_pack_that_fails_is_tried_again_and_then_one_by_one() -> None:
    record = record_of(small_plan((0,), configs=12))
    sweep = Sweep(record, level, limit=3)
    pack = sweep.start()
    assert pack
    sweep.fail(pack)
    again = sweep.start()
    assert again
    assert again.config == pack.config
    sweep.fail(again)
    alone = [sweep.start() for _ in range(3)]
    assert [[part.configuration for part in each.parts] for each in alone if each] == [[0], [1], [2]]
    for trial in alone[::2]:
        sweep.train(trial)
    sweep.fail(alone[1])
    assert [each.state for each in record.configurations.values()][:3] == ["running", "failed", "running"]
    assert record.configurations[1].curves == {}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_ends_a_configuration_and_no_other(value: float) -> None:
    record = searched(small_plan(CLASSES, configs=12), lambda n, i, e: value if n == 5 and e > 2 else level(n, i, e))
    assert record.configurations[5].state == "diverged"
    assert record.ledger.counts()["diverged"] == 1
    assert record.best(1)[0].number == 11


def test_where_the_first_diverges_the_next_gives_the_order() -> None:
    record = searched(small_plan(CLASSES, configs=6), lambda n, i, e: math.nan if n == 0 else level(n, i, e))
    assert len(record.configurations[1].curves) == 4
    assert record.classes[0] == 2


def test_an_experiment_that_ends_early_counts_with_its_last_value() -> None:
    """With patience a training reports no more; what it has stands for the epochs that are left."""
    record = record_of(small_plan((0,), configs=1))
    sweep = Sweep(record, level)
    trial = sweep.start()
    assert trial
    result = [sweep.report(trial, epoch) for epoch in (1, 2, 3)][-1]
    sweep.end(trial, result)
    assert record.configurations[0].value == level(0, 0, 3)


def test_what_cannot_share_a_pack_does_not() -> None:
    plan = small_plan((0,), configs=16)
    ranges = {"width": Choice((4, 8)), "learning_rate": LogUniform(1e-3, 1e-2)}
    space = dataclasses.replace(plan.space, ranges=ranges, points={"default": {"width": 4, "learning_rate": 1e-3}})
    record = record_of(dataclasses.replace(plan, space=space))
    packs = Sweep(record, level).run()
    widths = [{part.config.width for part in trial.parts} for trial in packs]
    assert all(len(own) == 1 for own in widths)
    assert {width for own in widths for width in own} == {4, 8}
    assert max(len(trial.parts) for trial in packs) > 1


def test_a_full_disk_ends_the_search_and_decides_nothing() -> None:
    record = record_of(small_plan((0,), configs=4))
    sweep = Sweep(record, level)
    trial = sweep.start()
    assert trial
    record.storage_error = OSError("full")  # type: ignore[assignment]
    sweep.train(trial)
    assert record.configurations[0].rung == -1
    assert sweep.search.suggest("next") == Searcher.FINISHED


@settings(max_examples=40, deadline=None)
@given(data=st.data(), configs=st.integers(1, 24), limit=st.integers(1, 12), slots=st.integers(1, 4))
def test_whatever_fails_and_arrives_when(data: st.DataObject, configs: int, limit: int, slots: int) -> None:
    """Every configuration is trained as far as the ladder says, in one place at a time, and the search ends."""
    record = record_of(dataclasses.replace(small_plan(CLASSES, configs=configs), sampler="random"))
    dead = data.draw(st.sets(st.integers(0, configs - 1), max_size=3))
    diverging = data.draw(st.sets(st.integers(0, configs - 1), max_size=3))

    def quality(number: int, index: int, epoch: int) -> float:
        return math.nan if number in diverging and epoch > 3 else level(number, index, epoch)

    sweep, under_way = Sweep(record, quality, limit=limit, slots=slots), []
    while True:
        while len(under_way) < slots and (trial := sweep.start()):
            under_way.append(trial)
            experiments = [(p.configuration, i) for each in under_way for p in each.parts for i in p.config.classes]
            assert len(experiments) == len(set(experiments)), "trained in two places"
        if not under_way:
            break
        trial = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
        if dead & {part.configuration for part in trial.parts}:
            sweep.fail(trial)
        else:
            sweep.train(trial)
    assert record.is_searched
    states = {number: each.state for number, each in record.configurations.items()}
    assert "running" not in states.values()
    assert {number for number, state in states.items() if state == "failed"} == dead & states.keys()
    assert {number for number, state in states.items() if state == "diverged"} == (diverging - dead) & states.keys()
    alive = [number for number in states if number not in dead | diverging]
    assert len(record.best(configs)) >= min(record.plan.min_complete, len(alive), 1)


@settings(max_examples=15, deadline=None)
@given(kills=st.sets(st.integers(0, 30), max_size=6), configs=st.integers(4, 16), limit=st.integers(1, 12))
def test_a_search_that_was_killed_again_and_again_is_the_whole_one(kills: set[int], configs: int, limit: int) -> None:
    """One pack at a time: the same packs with the same configurations, to the last digit."""
    plan = small_plan(CLASSES, configs=configs)
    whole, killed = record_of(plan), record_of(plan)
    expected = [trial.config for trial in Sweep(whole, level, limit=limit).run()]
    found = []
    for step in range(len(expected)):
        sweep = Sweep(killed, level, limit=limit)
        if step in kills:  # under way when it happened: nothing of it is on record but what was proposed
            trial = sweep.start()
            assert trial
            sweep.report(trial, 1)
            killed = SweepRecord(killed.study, plan)
            sweep = Sweep(killed, level, limit=limit)
        [trial] = sweep.run(1)
        found.append(trial.config)
    assert found == expected
    assert Sweep(killed, level, limit=limit).run() == []
    assert killed.configurations == whole.configurations


def test_a_reopened_file_gives_the_same_record(tmp_path: Path) -> None:
    plan, path = small_plan(CLASSES, configs=10), tmp_path / "study.db"
    record = searched(plan, lambda n, i, e: math.nan if n == 4 else level(n, i, e), path=path)
    again = record_of(plan, path=path)
    assert str(again.configurations) == str(record.configurations)  # as text: NaN is not equal to itself
    assert again.classes == record.classes
    assert again.ladder.spent == record.ladder.spent
    assert again.is_searched
    assert {each.state for each in again.configurations.values()} == {"complete", "stopped", "diverged"}


def test_what_is_trained_is_the_plans_training_with_what_was_proposed() -> None:
    search = {"width": 4, "epochs": 3}
    plan = dataclasses.replace(small_plan((6, 0, 3), configs=6), search=search)
    record = record_of(plan)
    for trial in Sweep(record, level).run():
        for part in trial.parts:
            proposed = record.configurations[part.configuration].params
            expected: TrainConfig = dataclasses.replace(plan.base, **search, **proposed, classes=part.config.classes)
            assert part.config == expected
