"""BlockASHA: what is stopped, and on what evidence."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from sweep_parts import Sweep, record_of, small_plan, trial_of

from sweeps.engine.blocks import MINIMUM_OTHERS, SPLIT_SLACK
from sweeps.engine.record import Job

CLASSES = (0, 1, 2, 3)


class _Split:
    """A sweep of blocks with one class per trial; groups[block, group](epoch, value) reports."""

    def __init__(self, blocks: int, classes: tuple[int, ...], reduction: int) -> None:
        self.record = record_of(small_plan(classes, configs=blocks, reduction=reduction), size=1)
        sweep = Sweep(self.record)
        self.asha, self.groups = sweep.asha, {}
        while trial := sweep.start():
            place = trial.config["configuration"], trial.config["group"]
            self.groups[place] = lambda epoch, value, trial=trial: sweep.report(trial, epoch, value)


def _split_sweep(blocks: int, classes: tuple[int, ...] = CLASSES, reduction: int = 3) -> _Split:
    return _Split(blocks, classes, reduction)


def test_with_one_class_it_decides_as_rays_own_asha_but_for_the_guard() -> None:
    # Both hear the same reports. Ray's own keeps a rung's value whether it stops there or not, so where the guard
    # lets a trial go on that Ray would have stopped, both still hold the same rungs and the comparison goes on.
    seen: Counter[str] = Counter()
    auroc = st.floats(0, 1).map(lambda value: round(value, 2))  # two digits: ties happen

    @given(
        curves=st.lists(st.lists(auroc, min_size=9, max_size=9), min_size=4, max_size=8),
        rungs=st.sampled_from([(1, 2), (1, 3), (2, 2), (3, 3)]),
        order=st.randoms(use_true_random=False),
    )
    @settings(max_examples=60, deadline=None)
    def same_decisions(curves: list[list[float]], rungs: tuple[int, int], order: random.Random) -> None:
        grace, reduction = rungs
        ours = Sweep(record_of(small_plan(configs=len(curves), grace=grace, reduction=reduction)))
        stock = AsyncHyperBandScheduler("epoch", "val_auroc_mean", "max", 9, grace, reduction)
        under_way: dict[str, tuple[SimpleNamespace, list[float], int]] = {}
        for curve in curves:
            trial = ours.start()
            assert trial
            stock.on_trial_add(None, trial)
            under_way[trial.trial_id] = (trial, curve, 1)
        while under_way:
            name = order.choice(sorted(under_way))
            trial, curve, epoch = under_way.pop(name)
            others = sum(name != other for other in _rung(stock, epoch))
            first_there = name not in _rung(stock, epoch)
            result = {"epoch": epoch, "val_auroc_mean": curve[epoch - 1]}
            stocks = stock.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE
            goes_on = ours.report(trial, epoch, curve[epoch - 1])
            if epoch == 9:  # the end by itself
                assert goes_on
                ours.end(trial)
                continue
            if first_there and others < MINIMUM_OTHERS:
                assert goes_on
                seen["let go by the guard"] += not stocks
            else:
                assert goes_on == stocks, (epoch, curve, others)
                seen["stopped by both"] += not goes_on
            if goes_on:
                under_way[name] = (trial, curve, epoch + 1)

    same_decisions()
    assert seen["stopped by both"] > 20, seen
    assert seen["let go by the guard"] > 20, seen


def _rung(stock: AsyncHyperBandScheduler, epoch: int) -> dict[str, float]:
    """What stock ASHA has recorded at the rung of this epoch; nothing where there is none."""
    return dict(stock._brackets[0]._rungs).get(epoch, {})


def test_nothing_is_stopped_before_three_others_have_reached_the_rung() -> None:
    sweep = Sweep(record_of(small_plan()))
    trials = [sweep.start() for _ in range(5)]
    assert [sweep.report(trial, 1, value) for trial, value in zip(trials, (0.9, 0.5, 0.1, 0.0), strict=False)] == [
        True, True, True, False,
    ]  # fmt: skip
    assert sweep.record.blocks[3].stopped_at == (1, 1)


def test_nothing_is_stopped_before_three_classes_are_compared() -> None:
    sweep = _split_sweep(blocks=4)
    for group in range(3):
        for number in range(3):
            assert sweep.groups[number, group](1, 0.9)
    assert sweep.groups[3, 0](1, 0.1), "one class is too few to judge by"
    assert sweep.groups[3, 1](1, 0.1), "two classes are too few to judge by"
    assert not sweep.groups[3, 2](1, 0.1)
    assert sweep.record.blocks[3].stopped_at == (1, 3)


def test_of_two_classes_two_are_enough() -> None:
    sweep = _split_sweep(blocks=4, classes=(0, 1))
    for group in range(2):
        for number in range(3):
            sweep.groups[number, group](1, 0.9)
    assert sweep.groups[3, 0](1, 0.1)
    assert not sweep.groups[3, 1](1, 0.1)


def test_a_split_block_is_compared_on_the_same_classes_only() -> None:
    sweep = _split_sweep(blocks=4)
    for number in range(3):
        for group, value in enumerate((0.5, 0.5, 0.5, 1.0)):  # the last class is easy: a mean over all would be 0.625
            sweep.groups[number, group](1, value)
    for group in range(3):
        assert sweep.groups[3, group](1, 0.5)
    assert not sweep.groups[3, 3](1, 0.9), "the mean over all four, 0.6, is below the others' 0.625"


def test_a_gap_in_a_blocks_classes_ends_what_is_compared() -> None:
    sweep = _split_sweep(blocks=4)
    for number in range(3):
        for group in range(4):
            sweep.groups[number, group](1, 0.9)
    for group in (0, 2, 3):
        assert sweep.groups[3, group](1, 0.1), "without class 1 there is one class to compare"
    assert not sweep.groups[3, 1](1, 0.1)
    assert sweep.record.blocks[3].stopped_at == (1, 4)


def test_a_block_stopped_on_fewer_classes_counts_as_minus_infinity_at_its_rung() -> None:
    sweep = _split_sweep(blocks=5, reduction=2)
    for number in (0, 1, 2):
        for group in range(3):
            sweep.groups[number, group](1, 0.96)
    for group in range(2):
        sweep.groups[3, group](1, 0.94)
    assert not sweep.groups[3, 2](1, 0.94)  # stopped on three classes, with a mean that all four would not reach
    for number, value in enumerate((0.9, 0.5, 0.1)):  # means over four classes: 0.945, 0.845, 0.745
        sweep.record.write_rung(sweep.record.blocks[number], 1, 3, [value])
    for group in range(3):
        assert sweep.groups[4, group](1, 0.96)
    # Mean 0.81. Cutoff, the median: 0.795 with minus infinity among the four, 0.845 of the three without block 3,
    # 0.8925 with block 3 at its own 0.94. Only the first lets it go on.
    assert sweep.groups[4, 3](1, 0.36)


def test_a_block_stopped_at_one_rung_is_no_evidence_at_the_next() -> None:
    sweep = Sweep(record_of(small_plan(configs=7)))
    trials = [sweep.start() for _ in range(4)]
    for trial, value in zip(trials, (0.9, 0.9, 0.9, 0.1), strict=True):
        sweep.report(trial, 1, value)
    assert sweep.record.blocks[3].stopped_at == (1, 1)
    assert [sweep.report(trial, 3, value) for trial, value in zip(trials, (0.9, 0.9, 0.1), strict=False)] == [True] * 3


def test_a_split_block_has_a_slack_that_a_whole_one_has_not() -> None:
    just_below = 0.9 - SPLIT_SLACK / 2
    split = _split_sweep(blocks=4, classes=(0, 1, 2))
    for number in range(3):
        for group in range(3):
            split.groups[number, group](1, 0.9)
    assert [split.groups[3, group](1, just_below) for group in range(3)] == [True] * 3
    whole = Sweep(record_of(small_plan((0, 1, 2))))
    trials = [whole.start() for _ in range(4)]
    assert [whole.report(trial, 1, 0.9, 0.9, 0.9) for trial in trials[:3]] == [True] * 3
    assert not whole.report(trials[3], 1, *[just_below] * 3)


def test_the_last_epoch_is_recorded_and_stops_nothing() -> None:
    sweep = Sweep(record_of(small_plan(epochs=5)))  # rungs 1 and 3: the last epoch is none
    trials = [sweep.start() for _ in range(5)]
    for trial in trials:
        for epoch in range(1, 5):
            assert sweep.report(trial, epoch, 0.9)
    for number, trial in enumerate(trials):
        assert sweep.report(trial, 5, 0.9 - number / 10)
        sweep.end(trial)
        assert sweep.record.blocks[number].values[5] == {0: [0.9 - number / 10]}
    assert sweep.record.counts()["complete"] == 5


def test_between_rungs_nothing_is_recorded() -> None:
    sweep = Sweep(record_of(small_plan()))
    trial = sweep.start()
    for epoch in range(1, 10):
        assert sweep.report(trial, epoch, epoch / 10)
    assert sweep.record.blocks[0].values == {1: {0: [0.1]}, 3: {0: [0.3]}, 9: {0: [0.9]}}


def test_a_repeated_report_changes_nothing() -> None:
    sweep = Sweep(record_of(small_plan()))
    trials = [sweep.start() for _ in range(4)]
    for trial in trials[:3]:
        sweep.report(trial, 1, 0.9)
    before = trial_of(sweep.record, 0)
    assert sweep.report(trials[0], 1, 0.0), "a resumed trial reports again what was decided before"
    assert sweep.record.blocks[0].values == {1: {0: [0.9]}}
    assert trial_of(sweep.record, 0) == before


def test_a_late_report_of_a_stopped_block_changes_nothing_and_is_told_to_stop() -> None:
    sweep = _split_sweep(blocks=4)
    for group in range(3):
        for number in range(3):
            sweep.groups[number, group](1, 0.9)
    for group in range(3):
        sweep.groups[3, group](1, 0.1)
    before, block = trial_of(sweep.record, 3), sweep.record.blocks[3]
    values = {epoch: dict(groups) for epoch, groups in block.values.items()}
    assert not sweep.groups[3, 3](1, 1.0)
    assert not sweep.asha.goes_on(Job(3, 2), 3, [1.0])
    assert (trial_of(sweep.record, 3), block.values, block.state) == (before, values, "stopped")
