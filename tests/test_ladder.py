"""The ladder: who goes up, in which order, at what cost."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.engine.planning.ladder import Ladder, Pack
from sweeps.engine.planning.rungs import SPARE, Rung, affordable_count, budget_for, rung_costs, rungs_of

TEN = rungs_of(10, 8)


@pytest.mark.parametrize(
    ("classes", "epochs", "rungs"),
    [
        (10, 8, [(1, 5), (2, 8), (5, 8), (10, 8)]),
        (10, 4, [(1, 2), (2, 4), (5, 4), (10, 4)]),
        (1, 8, [(1, 5), (1, 8)]),
        (2, 1, [(1, 1), (2, 1)]),
        (100, 27, [(1, 17), (20, 27), (50, 27), (100, 27)]),
        (1, 1, [(1, 1)]),
    ],
)
def test_the_rungs_of_some_sizes(classes: int, epochs: int, rungs: list[tuple[int, int]]) -> None:
    assert [(rung.classes, rung.epochs) for rung in rungs_of(classes, epochs)] == rungs


@given(st.integers(1, 200), st.integers(1, 300))
def test_every_rung_adds_something_and_the_last_is_everything(classes: int, epochs: int) -> None:
    rungs = rungs_of(classes, epochs)
    assert all(cost > 0 for cost in rung_costs(rungs))
    assert rungs[-1] == Rung(classes, epochs)
    assert sum(rung_costs(rungs)) == classes * epochs


def test_the_best_of_every_three_goes_up_the_highest_rung_first() -> None:
    ladder = Ladder(TEN, reduction=3, budget=1000)
    for number, value in enumerate((0.7, 0.9, 0.8)):
        ladder.begin(number)
        assert ladder.promotion() is None
        ladder.reach(number, 0, value)
    assert ladder.promotion() == (1, 1)
    ladder.begin(1, 1)
    assert ladder.promotion() is None, "one of three"
    for number in (3, 4, 5):
        ladder.begin(number)
        ladder.reach(number, 0, 0.5)
    assert ladder.promotion() == (2, 1)
    for number in (2, 0):
        ladder.begin(number, 1)
    for number, value in ((1, 0.9), (2, 0.95), (0, 0.1)):
        ladder.reach(number, 1, value)
    ladder.reach(9, 0, 0.99)
    assert ladder.promotion() == (2, 2), "above the new one at the lowest rung"


def test_at_the_end_each_rung_sends_up_alike() -> None:
    ladder = Ladder(TEN, reduction=3, budget=10**6)
    for number in range(12):
        ladder.begin(number)
        ladder.reach(number, 0, -number)
    for number in range(4):
        ladder.begin(number, 1)
        ladder.reach(number, 1, -number)
    ladder.begin(0, 2)
    # rank 5 of 12 is the 2.4th part, rank 2 of 4 the half
    assert ladder.late_promotion() == (4, 1)
    ladder.begin(4, 1)
    ladder.reach(4, 1, -4)
    assert ladder.late_promotion() == (1, 2)  # 2 of 5 against 6 of 12


Value = st.floats(0, 1)


@settings(max_examples=200)
@given(
    values=st.lists(st.tuples(Value, Value, Value, Value), min_size=1, max_size=40),
    reduction=st.integers(2, 5),
    budget=st.integers(1, 1500),
    best=st.integers(1, 3),
    slots=st.integers(1, 6),
    limit=st.integers(1, 20),
    seed=st.integers(0, 9),
)
def test_whatever_is_packed_and_arrives_when(
    values: list[tuple[float, ...]], reduction: int, budget: int, best: int, slots: int, limit: int, seed: int
) -> None:
    """Each goes up one rung at a time, once, as one of ASHA's share while there are new ones; the budget holds but for
    the least that is complete; no slot is idle while there is work, and there is a complete one in the end."""
    ladder, new, order = Ladder(TEN, reduction, budget, best), list(range(len(values))), random.Random(seed)
    under_way: list[tuple[int, tuple[int, ...]]] = []
    steps: dict[int, list[int]] = {number: [] for number in new}
    while True:
        while len(under_way) < slots:
            late = ladder.promotion() is None
            reached = [ladder.ranking(rung) for rung in range(len(TEN))]
            idle, new_left = slots - len(under_way), len(new)
            pack = ladder.next_pack(new=new_left, max_new=limit, limit=limit, idle=idle, under_way=len(under_way))
            if pack is None:
                break
            begun = pack.configurations or tuple(new[: pack.new])
            assert begun
            if pack.new:
                assert pack.rung == 0
                new = new[pack.new :]
                for number in begun:
                    ladder.begin(number)
            elif not late:
                below = reached[pack.rung - 1]
                assert all(below.index(number) < len(below) // reduction for number in begun)
            for number in begun:
                assert steps[number] == list(range(pack.rung)), "one rung at a time, once"
                steps[number].append(pack.rung)
            under_way.append((pack.rung, begun))
        if not under_way:
            break
        rung, ended = under_way.pop(order.randrange(len(under_way)))
        for number in ended:
            ladder.reach(number, rung, values[number][rung])
    complete = ladder.ranking(len(TEN) - 1)
    assert len(complete) >= min(best, len(values) - len(new))
    assert complete == sorted(complete, key=lambda number: (-values[number][-1], number))
    assert ladder.spent == sum(rung_costs(TEN)[rung] for done in steps.values() for rung in done)
    assert ladder.spent <= max(budget, rung_costs(TEN)[0]) + best * sum(rung_costs(TEN))


def test_what_is_ready_is_shared_by_the_free_slots() -> None:
    ladder = Ladder(TEN, reduction=3, budget=10**6)
    assert ladder.next_pack(new=24, max_new=10, limit=10, idle=2, under_way=0) == Pack(0, new=10)
    assert ladder.next_pack(new=24, max_new=10, limit=10, idle=16, under_way=0) == Pack(0, new=2)
    for number in range(12):
        ladder.begin(number)
        ladder.reach(number, 0, -number)
    assert ladder.next_pack(new=9, max_new=10, limit=10, idle=2, under_way=4) == Pack(1, (0, 1))
    assert ladder.next_pack(new=9, max_new=10, limit=10, idle=1, under_way=4) == Pack(1, (2, 3))
    for number in range(3):
        ladder.reach(number, 1, -number)
    # two classes are new on the third rung, so five configurations fill ten places; one may go up
    assert ladder.next_pack(new=9, max_new=10, limit=10, idle=1, under_way=4) == Pack(2, (0,))
    assert ladder.next_pack(new=0, max_new=10, limit=10, idle=1, under_way=4) is None
    late = ladder.next_pack(new=0, max_new=10, limit=10, idle=1, under_way=0)
    assert late
    assert late.configurations


@pytest.mark.parametrize("kinds", [1, 3])
@pytest.mark.parametrize("classes", [1, 10])
def test_every_configuration_begins_even_if_each_is_better_than_all_before(classes: int, kinds: int) -> None:
    rungs = rungs_of(classes, 8)
    ladder = Ladder(rungs, 4, budget_for(rungs, 4, 40, best=2), 2, kind=lambda number: number % kinds)
    promoted = 0
    while pack := ladder.next_pack(new=40 - ladder.begun_count, max_new=1, limit=10, idle=1, under_way=0):
        promoted += len(pack.configurations) if ladder.begun_count < 40 else 0
        begun = pack.configurations or (ladder.begun_count,)
        if pack.new:
            ladder.begin(ladder.begun_count)
        for number in begun:
            ladder.reach(number, pack.rung, number)
    assert ladder.begun_count == 40
    assert promoted > 10, "promotions do not wait until all have begun"
    assert ladder.spent <= ladder.budget


def test_a_decision_hears_of_order_and_not_of_arrival() -> None:
    """The same values in any order lead to the same promotions, once all have arrived."""
    values = {number: math.sin(number) for number in range(30)}
    found = set[tuple[int, ...]]()
    for seed in range(5):
        ladder, numbers = Ladder(TEN, 3, 10**6), list(values)
        random.Random(seed).shuffle(numbers)
        for number in numbers:
            ladder.begin(number)
            ladder.reach(number, 0, values[number])
        went: list[int] = []
        while (job := ladder.promotion()) is not None:
            ladder.begin(*job)
            went.append(job[0])
        found.add(tuple(went))
    assert found == {tuple(sorted(values, key=lambda number: -values[number])[:10])}


def test_a_budget_and_its_configurations() -> None:
    assert budget_for(TEN, 4, 640) == pytest.approx(640 * (5 + SPARE * (11 / 4 + 24 / 16 + 40 / 64)))
    assert budget_for(TEN, 4, 8, best=2) == pytest.approx(8 * 5 + SPARE * 2 * (11 + 24 + 40))
    assert budget_for(TEN, 4, 1, best=2) == pytest.approx(5 + SPARE * 75)
    for best in (1, 3):
        for count in (1, 7, 48, 1000):
            assert affordable_count(TEN, 4, budget_for(TEN, 4, count, best), best) == count
    assert affordable_count(TEN, 4, 0.1) == 1


@given(st.floats(1, 5000), st.integers(2, 4), st.integers(1, 3))
def test_what_is_affordable_leaves_the_best_complete(budget: float, reduction: int, best: int) -> None:
    count = affordable_count(TEN, reduction, budget, best)
    assert count == 1 or budget_for(TEN, reduction, count, best) <= budget + 1e-6
    assert budget_for(TEN, reduction, count + 1, best) > budget


def test_the_leaders_are_those_furthest_up_and_there_the_best() -> None:
    ladder = Ladder(TEN, 3, 10**6)
    for number in range(9):
        ladder.begin(number)
        ladder.reach(number, 0, number / 10)
    for number, value in ((8, 0.1), (7, 0.2)):
        ladder.begin(number, 1)
        ladder.reach(number, 1, value)
    assert ladder.leaders(4) == [7, 8, 6, 5]
    assert sorted(ladder.leaders(99)) == list(range(9)), "each once"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.floats(0, 1)), max_size=60))
def test_what_is_left_behind_is_what_a_look_at_all_of_them_finds(steps: list[tuple[int, int, float]]) -> None:
    ladder, values, begun = Ladder(TEN, 3, 10**6), dict[tuple[int, int], float](), set[tuple[int, int]]()
    for rung, number, value in steps:  # in any order, as a resumed search takes its packs in
        if (rung, number) not in begun:
            ladder.begin(number, rung)
            begun.add((rung, number))
        elif (rung, number) not in values:
            ladder.reach(number, rung, value)
            values[rung, number] = value
    expected: list[tuple[float, int, int]] = []
    for rung in range(len(TEN) - 1):
        ranked = sorted((-value, number) for (reached, number), value in values.items() if reached == rung)
        left = [(rank, number) for rank, (_, number) in enumerate(ranked, 1) if (rung + 1, number) not in begun]
        expected += [(len(ranked) / rank, rung + 1, number) for rank, number in left[:1]]
    assert ladder.promotion_candidates() == expected
