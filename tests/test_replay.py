"""The replay of learning curves on tables small enough to follow by hand."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # as when search.py is run

from replay.answers import answer, regret
from replay.climbing import Setting, climb
from replay.intervals import mean
from replay.ladders import CANDIDATES, CHOSEN_BY, compare_ladders
from replay.policies import POLICIES
from replay.simulation import Report, compute_of, simulate
from replay.table import Table, orders_of

from sweeps.gan_loss_weights import SPACE

EPOCHS = 4


def table_of(curves: list[np.ndarray]) -> Table:
    """A table with these curves, [epochs, classes] each; the configurations differ in their learning rate."""
    rates = np.geomspace(4e-4, 4e-3, len(curves)).tolist()
    return Table([{**SPACE.points["default"], "learning_rate": rate} for rate in rates], curves)


def straight(*levels: float) -> Table:
    """Two classes at a configuration's level throughout: the second class 0.02 above the first."""
    return table_of([np.tile([level - 0.01, level + 0.01], (EPOCHS, 1)) for level in levels])


def run(name: str, table: Table, workers: int = 1) -> list[Report]:
    """The reports of a policy that takes the configurations in the table's order."""
    return simulate(POLICIES[name](table, range(len(table.params))), workers)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", ["no stopping", "Repeater"])
def test_without_stopping_every_class_epoch_is_spent(name: str, workers: int) -> None:
    table = straight(0.9, 0.8, 0.7, 0.6)
    reports = run(name, table, workers)
    assert compute_of(reports) == table.compute == 4 * 2 * EPOCHS
    assert reports[-1].spent == 32


def test_every_policy_hands_out_the_table_in_its_order() -> None:
    table = straight(0.6, 0.9, 0.8)
    for name in POLICIES:
        assert list(dict.fromkeys(report.row for report in run(name, table))) == [0, 1, 2]


def test_a_stopped_configuration_costs_the_epochs_until_its_stop() -> None:
    # of four epochs 3/8 are two; the second is stopped there, below the first
    reports = run("ASHA over configurations", straight(0.9, 0.8, 0.7, 0.95))
    assert [compute_of(reports, row) for row in range(4)] == [8, 4, 4, 8]
    assert reports[-1].spent == 24


def test_spent_compute_counts_the_epochs_under_way_and_no_idle_slots() -> None:
    # Two slots, an epoch of both classes takes 2: reports in pairs at 2, 4, 6, 8 with both slots at work.
    # The third configuration is alone from 8 on; its epochs end at 10, 12, 14, 16.
    reports = run("no stopping", straight(0.9, 0.8, 0.7), workers=2)
    assert [report.spent for report in reports] == [4, 4, 8, 8, 12, 12, 16, 16, 18, 20, 22, 24]


def test_an_answer_within_a_budget_knows_nothing_of_later_reports() -> None:
    table = straight(0.7, 0.9, 0.8)
    reports = run("no stopping", table)
    assert [answer(table, reports, spent) for spent in (1, 2, 8, 15, 16, 24)] == [None, 0, 0, 0, 1, 1]
    assert regret(table, 0) == pytest.approx(0.2)
    assert regret(table, None) == pytest.approx(0.1)  # of a random one: (0.2 + 0 + 0.1) / 3


def test_an_answer_has_the_most_classes_at_the_last_epoch() -> None:
    table = straight(0.7, 0.9)
    both = [Report(8, 0, (0, 1), EPOCHS)]
    assert answer(table, [*both, Report(12, 1, (0,), EPOCHS)], 12) == 0
    assert answer(table, [*both, Report(16, 1, (0, 1), EPOCHS)], 16) == 1


@pytest.mark.parametrize("name", ["Repeater", "no stopping"])
def test_a_policy_finds_the_best_configuration(name: str) -> None:
    table = straight(0.7, 0.6, 0.9, 0.8)
    assert answer(table, run(name, table), table.compute) == table.best


def test_a_best_configuration_that_starts_slowly_is_stopped_and_missed() -> None:
    table = straight(0.9, 0.8, 0.7, 0.95)
    table.curves[3][:2] = 0.5
    reports = run("ASHA over configurations", table)
    assert compute_of(reports, table.best) < table.curves[table.best].size
    assert regret(table, answer(table, reports, table.compute)) == pytest.approx(0.05)


@pytest.mark.filterwarnings("ignore:All-NaN slice")  # Ray's percentile, where all that reached a rung diverged
@pytest.mark.parametrize("name", POLICIES)
def test_a_diverged_configuration_costs_its_epochs_and_is_never_the_answer(name: str) -> None:
    bad = np.array([[0.99, 0.99], [math.nan, 0.99]])
    table = table_of([bad, *straight(0.7, 0.8).curves])
    reports = run(name, table)
    assert compute_of(reports, 0) <= 4
    assert {answer(table, reports, spent) for spent in range(5, 21)} <= {None, 1, 2}
    assert table.compute == 4 + 8 + 8


def test_intervals() -> None:
    # t(0.975, 2 degrees of freedom) = 4.3027, standard deviation 1, n 3
    assert mean([1.0, 2.0, 3.0]).high == pytest.approx(2 + 4.3027 / math.sqrt(3), abs=1e-4)


#: Two rungs: the first class alone, then both, to the last epoch.
SHORT = Setting(((0.0, 1.0), (1.0, 1.0)), 2)


def test_a_ladder_finds_the_best_for_what_it_may_cost() -> None:
    table = straight(*(0.6 + 0.01 * place for place in range(12)))
    everything = table.compute  # 12 configurations x 2 classes x 4 epochs
    for budget in (everything / 2, everything / 1.5, everything):
        spent, row = climb(table, range(12), budget, workers=1, setting=SHORT)
        assert spent <= budget
        assert row is not None
    assert climb(table, range(12), everything, workers=3, setting=SHORT, limit=4)[1] == 11


def test_where_no_order_is_known_the_first_trains_all_classes_and_the_lowest_comes_first() -> None:
    # the second class is the hard one, and tells; the first one says the opposite
    curves = [np.tile([0.9 - 0.01 * place, 0.5 + 0.02 * place], (EPOCHS, 1)) for place in range(8)]
    table = table_of(curves)
    spent, row = climb(table, range(8), 20 * EPOCHS, workers=1, setting=SHORT)
    assert row == 7
    assert spent <= 20 * EPOCHS
    known = dataclasses.replace(table, dataset="fashion-mnist")  # which has ten classes, not two
    assert climb(known, range(8), 20 * EPOCHS, workers=1, setting=SHORT) == (spent, row)


def test_a_whole_sweep_proposes_everything() -> None:
    table = straight(*(0.6 + 0.01 * place for place in range(12)))
    spent, row = climb(table, [7, 3, 11, 0, 9, 5, 1, 10, 4, 8, 2, 6], None, workers=1, setting=SHORT)
    assert row == 11
    assert 12 * EPOCHS <= spent < table.compute


def test_a_ladder_never_chooses_what_diverged() -> None:
    table = straight(0.9, 0.6, 0.7)
    table.curves[0][1:] = math.nan
    table = table_of([table.curves[0][:2], *table.curves[1:]])
    assert climb(table, [1, 0, 2], table.compute * 3, workers=1, setting=SHORT)[1] == 2


def test_where_small_packs_cost_more_there_are_fewer_of_them() -> None:
    table = straight(*(0.6 + 0.01 * place for place in range(12)))
    budget, dear = table.compute / 2, {1: 2.0, 2: 1.0}
    for limit in (1, 4, 12):
        assert climb(table, range(12), budget, workers=1, setting=SHORT, limit=limit, costs=dear)[0] <= budget


class _Here:
    """Stands for a pool of processes."""

    @staticmethod
    def map(function: object, values: list[object], chunksize: int) -> list[object]:
        return list(map(function, values))  # type: ignore[call-overload]


def rough(seed: int, configurations: int = 10) -> Table:
    """Curves that rise to levels of their own, and cross on the way."""
    random = np.random.default_rng(seed)
    levels = random.uniform(0.6, 0.95, configurations)
    return table_of(
        [level - random.uniform(0, 0.3, (EPOCHS, 2)) / np.arange(1, EPOCHS + 1)[:, None] for level in levels]
    )


def share_of(table: Table, setting: Setting, orders: list[list[int]]) -> float:
    """A ladder's mean regret over that of no stopping, at the budgets by which one is chosen."""
    own, plain = np.zeros(len(CHOSEN_BY)), np.zeros(len(CHOSEN_BY))
    for order in orders:
        reports = simulate(POLICIES["no stopping"](table, order), 1)
        for place, part in enumerate(CHOSEN_BY):
            budget = part * table.compute
            own[place] += regret(table, climb(table, order, budget, workers=1, setting=setting)[1])
            plain[place] += regret(table, answer(table, reports, budget))
    return float(np.mean(own / plain))


def test_each_table_is_judged_by_the_ladder_that_is_best_on_the_others() -> None:
    tables = {"a": rough(10), "b": rough(1)}
    found = compare_ladders(_Here(), tables, permutations=2, seed=0)  # type: ignore[arg-type]
    for name, other in (("a", "b"), ("b", "a")):
        orders = orders_of(tables[other], 2, 0)[:1]  # half of them: enough to choose by
        shares = [share_of(tables[other], setting, orders) for setting in CANDIDATES]
        assert found["chosen"][name] == dataclasses.asdict(CANDIDATES[int(np.argmin(shares))])
    assert found["chosen"]["a"] != found["chosen"]["b"], "two tables that choose alike would prove little"


def test_the_policies_are_compared_by_their_share_of_the_regret_without_stopping() -> None:
    tables = {name: straight(*levels) for name, levels in {"a": (0.6, 0.7, 0.8, 0.9), "b": (0.5, 0.9, 0.7)}.items()}
    found = compare_ladders(_Here(), tables, permutations=3, seed=0)  # type: ignore[arg-type]
    for by_workers in found["units"].values():
        for compared in by_workers.values():
            assert compared["mean share"]["ladder"][0]["low"] <= compared["mean share"]["ladder"][0]["high"]
            for policies in compared["tables"].values():
                regrets = [each["value"] for each in policies["no stopping"]["regret"]]
                assert policies["no stopping"]["share"] == [float(regret > 0) for regret in regrets]
                assert "ladder chosen elsewhere" in policies


def test_no_ladder_is_chosen_where_there_is_one_table_alone() -> None:
    found = compare_ladders(_Here(), {"a": straight(0.6, 0.8, 0.7)}, permutations=2, seed=0)  # type: ignore[arg-type]
    assert found["chosen"] == {"a": None}
