"""The study is the record: what a reopened SQLite file gives back, and what a resumed search proposes."""

from __future__ import annotations

import dataclasses
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sweep_parts import Sweep, record_of, small_plan, trial_of

from adcore.errors import UserError
from sweeps.engine.confirm import candidates, confirmations
from sweeps.engine.places import database_uri
from sweeps.engine.plan import Plan
from sweeps.engine.record import Job, SweepRecord, open_study
from sweeps.gan_loss_weights import SPACE

CLASSES = (0, 1, 2)


def _quality(record: SweepRecord, number: int) -> float:
    """A toy AUROC with its best at a patch weight of 0.3 and a learning rate of 2e-3."""
    params = record.blocks[number].params
    return 0.95 - 0.05 * (
        math.log(params["weight_patch"] / 0.3) ** 2 / 10 + math.log(params["learning_rate"] / 2e-3) ** 2
    )


def _in_every_state(path: Path, plan: Plan) -> SweepRecord:
    """Blocks 0-2 complete, 3 stopped, 4 diverged, 5 failed, 6 at its first rung, 7 with a class done."""
    sweep = Sweep(record_of(plan, size=1, path=path))
    trials = {(number, group): sweep.start() for number in range(8) for group in range(3)}
    for number in range(3):
        for group in range(3):
            assert sweep.train(trials[number, group], 0.9)
    for group in range(3):
        sweep.report(trials[3, group], 1, 0.1)
    sweep.report(trials[4, 0], 1, math.nan)
    sweep.fail(trials[5, 0])
    sweep.report(trials[6, 0], 1, 0.91)
    sweep.train(trials[7, 0], 0.92)
    return sweep.record


def test_a_reopened_study_gives_the_same_blocks(tmp_path: Path) -> None:
    plan = small_plan(CLASSES, configs=9, epochs=3)
    record = _in_every_state(tmp_path / "study.db", plan)
    states = ["complete"] * 3 + ["stopped", "diverged", "failed", "running", "running"]
    assert [block.state for block in record.blocks.values()] == states
    again = record_of(plan, size=1, path=tmp_path / "study.db")
    assert list(again.blocks) == list(record.blocks)
    for number, block in record.blocks.items():
        assert dataclasses.replace(again.blocks[number], launched=set()) == dataclasses.replace(block, launched=set())
    assert again.counts() == record.counts()
    assert [block.number for block in again.best(9)] == [0, 1, 2]


def test_a_reopened_study_goes_on_with_what_was_under_way_and_nothing_else(tmp_path: Path) -> None:
    plan = small_plan(CLASSES, configs=9, epochs=3)
    _in_every_state(tmp_path / "study.db", plan)
    again = record_of(plan, size=1, path=tmp_path / "study.db")
    jobs = []
    while job := again.next_job():
        jobs.append(job)
    open_blocks = [Job(6, 0), Job(6, 1), Job(6, 2), Job(7, 1), Job(7, 2)]  # a trial goes on from its checkpoint
    assert jobs == [*open_blocks, Job(8, 0), Job(8, 1), Job(8, 2)]


@pytest.mark.parametrize(("value", "goes_on"), [(0.95, True), (0.2, False)])
def test_a_reopened_study_decides_as_the_one_that_stayed_open(tmp_path: Path, value: float, goes_on: bool) -> None:
    plan = small_plan(CLASSES, configs=9, epochs=3)
    _in_every_state(tmp_path / "study.db", plan)
    sweep = Sweep(record_of(plan, size=1, path=tmp_path / "study.db"))
    trials = [sweep.start() for _ in range(3)]
    assert [trial.config["group"] for trial in trials] == [0, 1, 2]
    assert sweep.report(trials[0], 1, 0.0), "its checkpoint's first epoch is reported again: decided before"
    assert sweep.report(trials[1], 1, value)
    assert sweep.report(trials[2], 1, value) == goes_on
    assert sweep.record.blocks[6].values[1] == {0: [0.91], 1: [value], 2: [value]}


def test_a_kill_between_a_written_stop_and_its_telling_is_completed_at_reopening(tmp_path: Path) -> None:
    plan = small_plan(CLASSES, epochs=9)
    record = record_of(plan, path=tmp_path / "study.db")
    job = record.next_job()
    assert job
    record.write_rung(record.blocks[0], 1, 0, [0.5, 0.6, 0.7])
    record.write_rung(record.blocks[0], 3, 0, [0.6, 0.7, 0.8], stop_groups=1)
    assert trial_of(record, 0).state == TrialState.RUNNING
    again = record_of(plan, path=tmp_path / "study.db")
    told = trial_of(again, 0)
    assert (told.state, again.blocks[0].state, again.blocks[0].stopped_at) == (TrialState.PRUNED, "stopped", (3, 1))
    assert told.intermediate_values == pytest.approx({1: 0.6, 3: 0.7})
    assert again.next_job() == Job(1, 0)


def test_a_kill_between_the_last_values_and_their_telling_is_completed_at_reopening(tmp_path: Path) -> None:
    plan = small_plan(CLASSES, epochs=9)
    record = record_of(plan, path=tmp_path / "study.db")
    record.next_job()
    record.write_rung(record.blocks[0], 9, 0, [0.6, 0.7, 0.8])
    again = record_of(plan, path=tmp_path / "study.db")
    assert (trial_of(again, 0).state, again.blocks[0].state) == (TrialState.COMPLETE, "complete")
    assert again.blocks[0].mean == trial_of(again, 0).value == pytest.approx(0.7)


def test_a_resumed_search_proposes_what_the_uninterrupted_one_would_have(tmp_path: Path) -> None:
    plan = small_plan(CLASSES, configs=12, epochs=3)
    whole = Sweep(record_of(plan, path=tmp_path / "whole.db"))
    for number in range(12):
        trial = whole.start()
        whole.train(trial, *[_quality(whole.record, number)] * 3)
    for number in range(12):
        sweep = Sweep(record_of(plan, path=tmp_path / "resumed.db"))
        trial = sweep.start()
        assert sweep.record.blocks[number].params == whole.record.blocks[number].params, number  # to the last digit
        if number % 2:  # killed under way, and gone on with
            if not sweep.report(trial, 1, *[_quality(sweep.record, number)] * 3):
                continue
            sweep = Sweep(record_of(plan, path=tmp_path / "resumed.db"))
            trial = sweep.start()
        sweep.train(trial, *[_quality(sweep.record, number)] * 3)
    for number, block in whole.record.blocks.items():
        again = dataclasses.replace(sweep.record.blocks[number], launched=block.launched)
        assert dataclasses.replace(again, params=dict(block.params)) == block
    assert {block.state for block in whole.record.blocks.values()} == {"complete", "stopped"}
    suggested = [block.params["learning_rate"] for block in whole.record.blocks.values()]
    assert len(set(suggested[3:])) == 9, "a sampler seeded alike for each ask would propose one point again and again"


def test_another_seed_searches_elsewhere() -> None:
    plans = [dataclasses.replace(small_plan(configs=4), search_seed=seed) for seed in (0, 0, 1)]
    fourth = []
    for plan in plans:
        record = record_of(plan)
        while record.next_job():
            pass
        fourth.append(record.blocks[3].params)
    assert fourth[0] == fourth[1] != fourth[2]


def test_the_named_points_come_first_and_in_their_order(tmp_path: Path) -> None:
    plan = small_plan(configs=5)
    record = record_of(plan, path=tmp_path / "study.db")
    for _ in range(2):
        record.next_job()
    again = record_of(plan, path=tmp_path / "study.db")  # enqueues nothing a second time
    while again.next_job():
        pass
    assert [block.params for block in again.blocks.values()][:3] == list(SPACE.points.values())
    assert len({tuple(block.params.values()) for block in again.blocks.values()}) == 5


@pytest.mark.parametrize("configs", [1, 2, 3])
def test_configs_counts_the_named_points_the_default_first(configs: int) -> None:
    record = record_of(small_plan(configs=configs))
    while record.next_job():
        pass
    assert [block.params for block in record.blocks.values()] == list(SPACE.points.values())[:configs]
    assert record.blocks[0].params == SPACE.points[SPACE.default]
    assert len(record.study.get_trials()) == configs


def test_confirm_takes_the_best_beside_the_default_and_the_default_without_doubles(tmp_path: Path) -> None:
    plan = small_plan(configs=4, epochs=1)
    for best, expected in ((0, [1, 0]), (2, [2, 0])):
        path = tmp_path / f"{best}.db"
        sweep = Sweep(record_of(plan, path=path))
        for number in range(4):
            sweep.train(sweep.start(), 0.9 if number == best else 0.5)
        again = record_of(plan, path=path)  # after a resume, too: params come back to the last digit
        assert [block.number for block in candidates(again)] == expected


def test_confirmations_count_whole_seeds_only_and_survive_reopening(tmp_path: Path) -> None:
    plan = dataclasses.replace(small_plan(CLASSES, configs=2, epochs=1), seeds=2)
    path = tmp_path / "study.db"
    sweep = Sweep(record_of(plan, size=1, path=path))
    while trial := sweep.start():
        sweep.train(trial, 0.5)
    for configuration, seed, group, value in [(0, 1, 0, 0.7), (0, 1, 1, 0.8), (0, 1, 2, 0.9), (0, 2, 0, 1.0)]:
        sweep.record.write_confirmed(configuration, seed, group, [value])
    again = record_of(plan, size=1, path=path)
    found = confirmations(again, list(again.blocks.values()))
    assert [each.block.number for each in found] == [0]
    assert found[0].by_seed == {1: dict(zip(*[sorted(CLASSES), _by_class(again)], strict=True))}
    assert found[0].mean == pytest.approx(0.8)


def _by_class(record: SweepRecord) -> list[float]:
    values = {group[0]: value for group, value in zip(record.groups, (0.7, 0.8, 0.9), strict=True)}
    return [values[index] for index in sorted(values)]


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
    record = _in_every_state(tmp_path / "study.db", plan)
    shutil.copy(tmp_path / "study.db", tmp_path / "copy.db")  # what MLflow is given: nothing lies beside the file
    copy = record_of(plan, size=1, path=tmp_path / "copy.db")
    assert copy.counts() == record.counts()
