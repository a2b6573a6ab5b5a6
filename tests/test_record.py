"""The study is the record: what a reopened SQLite file gives back, and what a resumed search proposes."""

from __future__ import annotations

import dataclasses
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
from optuna.trial import TrialState

from adcore.errors import UserError
from sweeps.engine.machine.locations import database_uri
from sweeps.engine.record.confirmation import candidates, confirmations
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.study import open_study
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.gan_loss_weights import SPACE
from tests.sweep_parts import Sweep, complete, record_of, searched, small_plan, states_of, trial_of

CLASSES = (0, 1, 2)


def _quality(record: SweepRecord, number: int) -> float:
    """A toy AUROC with its best at a patch weight of 0.3 and a learning rate of 2e-3."""
    params = record.configurations[number].params
    return 0.95 - 0.05 * (
        math.log(params["weight_patch"] / 0.3) ** 2 / 10 + math.log(params["learning_rate"] / 2e-3) ** 2
    )


def _level(number: int, index: int, epoch: int) -> float:
    return 0.8 + number / 100 + index / 1000 + epoch / 10000


def _all_of(record: SweepRecord) -> list[dict[str, float]]:
    """The fields of every configuration that a sweep would propose before it knows of any result."""
    return [record.propose(record.first_number + place).params for place in range(record.plan.configs)]


def test_a_kill_between_the_last_values_and_their_telling_is_completed_at_reopening(tmp_path: Path) -> None:
    plan, path = small_plan(CLASSES, configs=1, epochs=2), tmp_path / "study.db"
    record = record_of(plan, path=path)
    record.propose(0)
    with mock.patch.object(SweepRecord, "_record_endings"):
        record.begin(0, 3)
        record.finish_pack(3, {0: {0: [0.5, 0.6], 1: [0.6, 0.7], 2: [0.7, 0.8]}})
    assert trial_of(record, 0).state == TrialState.RUNNING
    again = record_of(plan, path=path)
    assert (trial_of(again, 0).state, again.configurations[0].state) == (TrialState.COMPLETE, "complete")
    assert again.configurations[0].mean == trial_of(again, 0).value == pytest.approx(0.7)


def test_the_study_knows_how_far_each_came(tmp_path: Path) -> None:
    record = searched(small_plan(CLASSES, configs=8), _level)
    for number, own in record.configurations.items():
        told = trial_of(record, number)
        if own.state == "complete":
            assert (told.state, told.value) == (TrialState.COMPLETE, own.mean)
        else:
            assert told.state == TrialState.PRUNED
            assert list(told.intermediate_values) == list(range(own.rung + 1))
            assert told.intermediate_values[own.rung] == own.value


def test_a_resumed_search_proposes_what_the_uninterrupted_one_would_have(tmp_path: Path) -> None:
    plan = small_plan(CLASSES, configs=16)
    whole = record_of(plan, path=tmp_path / "whole.db")
    Sweep(whole, lambda n, i, e: _quality(whole, n) - i / 100, limit=2).run()
    while True:
        record = record_of(plan, path=tmp_path / "resumed.db")  # opened again for each pack
        if not Sweep(record, lambda n, i, e: _quality(whole, n) - i / 100, limit=2).run(1):
            break
    assert record.configurations == whole.configurations
    suggested = [each.params["learning_rate"] for each in whole.configurations.values()]
    assert len(set(suggested[3:])) == 13, "a sampler seeded alike for each would propose one point again and again"


def test_another_seed_searches_elsewhere() -> None:
    plans = [dataclasses.replace(small_plan(configs=4), search_seed=seed) for seed in (0, 0, 1)]
    fourth = [_all_of(record_of(plan))[3] for plan in plans]
    assert fourth[0] == fourth[1] != fourth[2]


def test_the_named_points_come_first_and_in_their_order(tmp_path: Path) -> None:
    plan, path = small_plan(configs=5), tmp_path / "study.db"
    first = [record_of(plan, path=path).propose(number).params for number in range(2)]
    found = _all_of(record_of(plan, path=path))
    assert found[:2] == first
    assert found[:3] == list(SPACE.points.values())
    assert len({tuple(params.values()) for params in found}) == 5


@pytest.mark.parametrize("configs", [1, 2, 3])
def test_configs_counts_the_named_points_the_default_first(configs: int) -> None:
    record = searched(small_plan(configs=configs), _level)
    assert [each.params for each in record.configurations.values()] == list(SPACE.points.values())[:configs]
    assert record.configurations[0].params == SPACE.points[SPACE.default]
    assert len(record.study.get_trials()) == configs


def test_confirm_takes_the_best_beside_the_default_and_the_default_without_doubles(tmp_path: Path) -> None:
    plan = small_plan(configs=4, epochs=1)
    for best, expected in ((0, [1, 0]), (2, [2, 0])):
        path = tmp_path / f"{best}.db"
        complete(record_of(plan, path=path), *(0.9 if number == best else 0.5 for number in range(4)))
        again = record_of(plan, path=path)  # after a resume, too: params come back to the last digit
        assert [each.number for each in candidates(again)] == expected


def test_confirmations_count_whole_seeds_only_and_survive_reopening(tmp_path: Path) -> None:
    plan, path = dataclasses.replace(small_plan(CLASSES, configs=2, epochs=1), seeds=2), tmp_path / "study.db"
    record = complete(record_of(plan, path=path), 0.5, 0.5)
    record.write_confirmed(0, 1, {2: 0.9, 0: 0.7})
    record.write_confirmed(0, 1, {1: 0.8})
    record.write_confirmed(0, 2, {0: 1.0})
    again = record_of(plan, path=path)
    found = confirmations(again, list(again.configurations.values()))
    assert [each.number for each in found] == [0]
    assert found[0].by_seed == {1: {0: 0.7, 1: 0.8, 2: 0.9}}
    assert found[0].mean == pytest.approx(0.8)


@pytest.mark.parametrize("content", [b"", b"not a database at all", None])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "study.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"study\.db: not the record of a sweep"):
        open_study(path, create=False)


def test_a_record_of_another_version_of_optuna_is_named_as_one(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    record_of(small_plan(), path=path)
    with closing(sqlite3.connect(path)) as study, study:
        study.execute("UPDATE alembic_version SET version_num = 'v1.3.0.a'")
        study.execute("UPDATE version_info SET library_version = '2.10.1'")
    with pytest.raises(UserError) as refused:
        open_study(path, create=False)
    line = str(refused.value)
    for part in (str(path), "set up by optuna 2.10.1", f"--storage {database_uri(path)}", "Make a copy"):
        assert part in line
    assert "damaged" not in line
    assert "\n" not in line


def test_a_copy_of_the_file_is_a_copy_of_the_record(tmp_path: Path) -> None:
    plan = small_plan(CLASSES, configs=9, epochs=3)
    record = searched(plan, _level, path=tmp_path / "study.db")
    shutil.copy(tmp_path / "study.db", tmp_path / "copy.db")  # what MLflow is given: nothing lies beside the file
    assert record_of(plan, path=tmp_path / "copy.db").configurations == record.configurations


def test_how_the_configurations_stand_is_known_at_any_time(tmp_path: Path) -> None:
    plan, path = small_plan(CLASSES, configs=12), tmp_path / "study.db"
    sweep = Sweep(record_of(plan, path=path), lambda n, i, e: math.nan if n == 3 else _level(n, i, e), limit=2)
    while sweep.run(1):
        for record in (sweep.record, record_of(plan, path=path)):
            states = [each.state for each in record.configurations.values()]
            assert {state: number for state, number in record.ledger.counts().items() if number} == {
                state: states.count(state) for state in states
            }
            complete = [each for each in record.configurations.values() if each.mean is not None]
            assert record.best(99) == sorted(complete, key=lambda each: (-(each.mean or 0.0), each.number))
    assert set(states_of(list(sweep.record.configurations.values()))) == {"complete", "stopped", "diverged"}


def test_a_search_says_once_who_climbed_and_who_ended(tmp_path: Path) -> None:
    plan, path = small_plan(CLASSES, configs=8), tmp_path / "study.db"
    record = record_of(plan, path=path)
    search = LadderSearch("search", [record], limit=2, slots=1)
    sweep = Sweep(record, _level, search=search)
    climbed, ended = list[tuple[int, int]](), list[int]()
    while sweep.run(1):
        climbed += [(own.number, rung) for _, own, rung in search.new_climbs()]
        ended += [number for number, _, _ in search.newly_ended()]
    ended += [number for number, _, _ in search.newly_ended()]
    own = record.configurations
    assert sorted(climbed) == [(number, rung) for number in own for rung in range(own[number].rung + 1)]
    assert sorted(ended) == sorted(own)
    again = LadderSearch("search", [record_of(plan, path=path)], limit=2, slots=1)
    assert [(each.number, rung) for _, each, rung in again.new_climbs()] == sorted(climbed), "all, to a new driver"


def test_an_attribute_is_read_as_the_file_holds_it_and_shared_with_the_classes(tmp_path: Path) -> None:
    record = record_of(small_plan(CLASSES), path=tmp_path / "study.db")
    record.write("a", {"pairs": [(1, 2)], 3: None})
    record.of_class(0).write("b", 1)
    assert record.read("a") == {"pairs": [[1, 2]], "3": None} == record_of(record.plan, path=record.path).read("a")
    assert (record.read("b"), record.of_class(1).read("b"), record.read("c")) == (1, 1, None)
    record.read("a")["pairs"].clear()
    assert record.read("a")["pairs"] == [[1, 2]]
