"""What holds in every sweep: generated configurations, AUROCs and orders of events (block_events.py)."""

from __future__ import annotations

import copy
import dataclasses
import math
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any
from unittest import mock

import pytest
from block_events import Case, Controller, Event, Rung, cases, rungs, snapshot
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from sweep_parts import Sweep, record_of, small_plan, trial_of

from sweeps.engine.blocks import METRIC, MINIMUM_OTHERS
from sweeps.engine.record import Block, Job, SweepRecord


def examples(count: int) -> settings:
    """The same ones in every run: a failure in CI is one that a developer sees too."""
    # Without shrinking: it takes minutes over a seed, and a failing Case can be run again as it is printed.
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.generate])


def test_blocks_of_one_trial_are_stopped_as_by_rays_own_asha_but_for_the_guard() -> None:
    # Both hear the same reports, of trials that start late, fail or report again. Ray's own keeps a rung's value
    # whether it stops there or not, so a trial that only the guard lets go on does not part the two.
    seen: Counter[str] = Counter()

    @given(cases(split=False))
    @examples(80)
    def same_decisions(case: Case) -> None:
        controller = Controller(case, faults=("retry", "fail"))
        stock: Any = AsyncHyperBandScheduler("epoch", METRIC, "max", *case.rungs)
        rungs = dict(stock._brackets[0]._rungs)
        for event in controller.events():
            if event.kind == "start":
                stock.on_trial_add(None, event.trial)
            if event.kind != "report":
                continue
            arrives = event.trial.trial_id not in rungs.get(event.epoch, {})
            guarded = arrives and len(rungs.get(event.epoch, {})) < MINIMUM_OTHERS
            result = {"epoch": event.epoch, METRIC: statistics.fmean(event.values)}
            expected = stock.on_trial_result(None, event.trial, result) == TrialScheduler.CONTINUE
            last = event.epoch == controller.epochs  # Ray's way to say that a trial has had its epochs
            assert event.goes_on == (expected or guarded or last), event
            seen["stopped by both"] += not event.goes_on
            seen["let go by the guard"] += guarded and not expected

    same_decisions()
    assert seen["stopped by both"] > 50, seen
    assert seen["let go by the guard"] > 50, seen


def test_values_beyond_the_compared_classes_never_change_a_decision() -> None:
    seen: Counter[bool] = Counter()

    @given(rungs(), st.sampled_from([0.0, 1.0]))
    @examples(300)
    def same_decision(rung: Rung, value: float) -> None:
        decided = rung.stops()
        redrawn = rung.with_others(lambda group, old: old if group < rung.prefix else [value] * len(old))
        missing = rung.with_others(lambda group, old: old if group < rung.prefix else None)
        assert redrawn.stops() == missing.stops() == decided
        own = {g: old if g < rung.prefix else [value] * len(old) for g, old in rung.own.items()}
        assert dataclasses.replace(rung, own=own).stops() == decided, "its own values beyond a gap"
        seen[decided] += 1

    same_decision()
    assert seen[True] > 20, seen
    assert seen[False] > 20, seen


def _by_class(controller: Controller, event: Event) -> dict[tuple[int, int], float]:
    """The event's AUROCs by configuration and class."""
    classes = controller.record.groups[event.job.group]
    return {(event.job.configuration, each): value for each, value in zip(classes, event.values, strict=True)}


def test_complete_blocks_rank_exactly_as_their_means_over_all_classes() -> None:
    seen: Counter[int] = Counter()

    @given(cases())
    @examples(60)
    def same_ranks(case: Case) -> None:
        controller = Controller(case, faults=("retry",))
        table: dict[tuple[int, int], float] = {}
        for event in controller.events():
            if event.kind == "report" and event.epoch == controller.epochs:
                table = _by_class(controller, event) | table  # the first report counts
        record = controller.record
        complete = [number for number, block in record.blocks.items() if block.state == "complete"]
        means = {n: statistics.fmean(table[n, each] for each in range(case.classes)) for n in complete}
        ranked = sorted(complete, key=lambda number: (-means[number], number))
        assert [block.number for block in record.best(case.configs)] == ranked
        assert {block.number: block.mean for block in record.best(case.configs)} == means
        assert {number: trial_of(record, number).value for number in complete} == means
        seen[len(complete)] += 1

    same_ranks()
    assert sum(examples for complete, examples in seen.items() if complete > 3) > 10, seen


def test_optuna_is_told_of_a_block_once_and_complete_only_of_all_classes_at_the_last_epoch() -> None:
    seen: Counter[TrialState] = Counter()

    @given(cases())
    @examples(60)
    def told_once(case: Case) -> None:
        controller = Controller(case)
        record, delivered = controller.record, set[tuple[int, int]]()
        with mock.patch.object(record.study, "tell", wraps=record.study.tell) as tell:
            for event in controller.events():
                if event.kind == "report" and event.epoch == controller.epochs and event.goes_on:
                    delivered |= set(_by_class(controller, event))
                told = Counter(call.args[0] for call in tell.call_args_list)
                ended = [number for number, block in record.blocks.items() if block.state != "running"]
                assert told == dict.fromkeys(ended, 1)
        for number, trial in enumerate(record.study.get_trials()):
            complete = trial.state == TrialState.COMPLETE
            assert trial.state.is_finished()
            assert not complete or all((number, each) in delivered for each in range(case.classes))
            assert complete == (record.blocks[number].mean is not None)
            seen[trial.state] += 1

    told_once()
    assert min(seen[state] for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)) > 20, seen


def test_a_block_with_a_failed_trial_is_failed_and_has_no_mean() -> None:
    seen: Counter[str] = Counter()

    @given(cases(split=True))
    @examples(60)
    def no_mean(case: Case) -> None:
        controller = Controller(case, faults=("late", "retry", "fail", "quit"))
        failed: set[int] = set()
        for event in controller.events():
            block = controller.block(event)
            unfinished = event.kind in ("end", "fail") and event.epoch < controller.epochs
            if unfinished and block.state != "stopped":
                failed.add(block.number)
            for number in failed:
                block, told = controller.record.blocks[number], trial_of(controller.record, number)
                assert (block.state, block.mean, told.state, told.value) == ("failed", None, TrialState.FAIL, None)
            assert failed.isdisjoint(each.number for each in controller.record.best(case.configs))
        seen["failed"] += len(failed)

    no_mean()
    assert seen["failed"] > 20, seen


def _diverges(event: Event) -> bool:
    return event.kind == "report" and not all(map(math.isfinite, event.values))


def test_a_diverged_class_ends_its_block() -> None:
    seen: Counter[str] = Counter()

    @given(cases(classes=(1, 6)))
    @examples(100)
    def ends(case: Case) -> None:
        controller = Controller(case, faults=("late", "retry", "nonfinite"))
        diverged: set[int] = set()
        before: dict[int, str] = {}
        for event in controller.events():
            block = controller.block(event)
            if block.number in diverged:
                assert event.kind != "start"
                assert not (event.kind in ("report", "late") and event.goes_on), "its other trials are to stop"
                seen[event.kind] += 1
            if _diverges(event) and before[block.number] == "running":
                assert not event.goes_on
                diverged.add(block.number)
            before = {number: block.state for number, block in controller.record.blocks.items()}
            assert {number for number, state in before.items() if state == "diverged"} == diverged
        for number in diverged:
            told = trial_of(controller.record, number)
            assert (told.state, told.value, told.intermediate_values) == (TrialState.PRUNED, None, {})

    ends()
    assert seen["report"] > 20, seen


def test_a_late_or_repeated_report_changes_nothing() -> None:
    seen: Counter[str] = Counter()

    @given(cases(classes=(1, 6)))
    @examples(120)
    def nothing_changes(case: Case) -> None:
        controller = Controller(case, faults=("late", "retry", "nonfinite", "fail"))
        before, ended = snapshot(controller.record), set[int]()
        for event in controller.events():
            after = snapshot(controller.record)
            closed = event.kind in ("report", "late", "end", "fail") and event.job.configuration in ended
            if closed or (event.repeated and not _diverges(event)):
                assert after == before, event
                assert event.kind not in ("report", "late") or event.goes_on == (not closed)
                seen[f"{event.kind}, {'closed' if closed else 'open'}"] += 1
            before = after
            ended = {number for number, block in controller.record.blocks.items() if block.state != "running"}

    nothing_changes()
    kinds = ("report, closed", "late, closed", "end, closed", "fail, closed", "report, open", "late, open")
    assert min(seen[kind] for kind in kinds) > 3, seen


def test_a_stopped_block_launches_nothing_more() -> None:
    seen: Counter[str] = Counter()

    @given(cases(split=True, classes=(4, 6)))
    @examples(60)
    def launches_nothing(case: Case) -> None:
        controller = Controller(case)
        ended: dict[int, set[int]] = {}  # groups launched until then
        for event in controller.events():
            assert event.kind != "start" or event.job.configuration not in ended, event
            for number, block in controller.record.blocks.items():
                if block.state != "running":
                    assert block.launched == ended.setdefault(number, set(block.launched))
                    stopped_early = block.state == "stopped" and len(block.launched) < len(controller.record.groups)
                    seen["stopped before all were launched"] += stopped_early

    launches_nothing()
    assert seen["stopped before all were launched"] > 20, seen


def _delivered(record: SweepRecord, last: int) -> list[Block]:
    """Open blocks with all their values, whose trials have only to end: opening the record completes them."""
    return [b for b in record.blocks.values() if b.state == "running" and b.prefix(last) == len(record.groups)]


def _without_launched(record: SweepRecord) -> dict[int, Block]:
    return {number: dataclasses.replace(block, launched=set()) for number, block in record.blocks.items()}


def _proposals(record: SweepRecord) -> dict[int, dict[str, float]]:
    """Of all configurations, those still to come included."""
    while record.next_job():
        pass
    return {number: block.params for number, block in record.blocks.items()}


def test_a_record_reopened_at_any_moment_is_the_live_one() -> None:
    seen: Counter[str] = Counter()

    @given(cases(), st.none() | st.integers(0, 120))
    @examples(60)
    def same_record(case: Case, moment: int | None) -> None:  # None: when a trial has only to end
        controller = Controller(case)
        for count, _ in enumerate(controller.events()):
            if count == moment or (moment is None and _delivered(controller.record, controller.epochs)):
                break
        reopened = SweepRecord(copy.deepcopy(controller.record.study), case.plan, controller.record.groups)
        live = copy.deepcopy(controller.record)
        for block in _delivered(live, controller.epochs):
            live.finish(Job(block.number, 0))
            seen["delivered"] += 1
        assert _without_launched(reopened) == _without_launched(live)
        assert reopened.counts() == live.counts()
        assert [b.number for b in reopened.best(case.configs)] == [b.number for b in live.best(case.configs)]
        seen["configurations to come"] += case.configs - len(live.blocks)
        assert _proposals(reopened) == _proposals(live)

    same_record()
    assert seen["configurations to come"] > 20, seen
    assert seen["delivered"] > 0, seen


def test_a_sweep_reopened_again_and_again_goes_on_as_one_that_stayed_open() -> None:
    seen: Counter[str] = Counter()

    @given(cases(), st.randoms(use_true_random=False))
    @examples(40)
    def same_events(case: Case, luck: random.Random) -> None:
        live, reopened = Controller(case), Controller(case)
        for expected, found in zip(live.events(), reopened.events(), strict=True):
            assert repr(found) == repr(expected)  # nan is not equal to itself
            if not _delivered(reopened.record, live.epochs) and luck.random() < 0.2:
                reopened.reopen()
            seen["stops"] += expected.kind == "report" and not expected.goes_on
        assert _without_launched(reopened.record) == _without_launched(live.record)

    same_events()
    assert seen["stops"] > 50, seen


def _lines_run(call: Callable[[], Any]) -> int:
    """The cost of a call that does not hang on the machine: Python lines run, Optuna's included."""
    count, outer = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(outer)
    return count


def _decision_cost(blocks: int, size: int, last: float) -> int:
    """Of the decision on the last block, at the second rung, when all others are there."""
    sweep = Sweep(record_of(small_plan((0, 1, 2, 3), configs=blocks), size=size))
    trials = []
    while trial := sweep.start():
        trials.append(trial)
    for trial in trials:
        for epoch in (1, 3):
            if trial is not trials[-1] or epoch == 1:
                assert sweep.report(trial, epoch, *[0.9] * size)
    return _lines_run(lambda: sweep.report(trials[-1], 3, *[last] * size))


@pytest.mark.parametrize("last", [0.9, 0.1])
@pytest.mark.parametrize("size", [4, 1])
def test_the_cost_of_a_decision_grows_at_most_linearly_with_the_blocks(size: int, last: float) -> None:
    few, many = _decision_cost(50, size, last), _decision_cost(200, size, last)
    assert few > 50, "a decision that looks at each block runs at least as many lines"
    assert many < 4.5 * few, (few, many)
