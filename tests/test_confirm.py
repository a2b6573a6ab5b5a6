"""Which configurations are confirmed, what is left to train, and who can win."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from adcore.train.checkpoints import Checkpoints
from adcore.train.member_state import MemberState
from sweeps.engine.record.confirmation import candidates, confirmations, references
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.search.confirm_search import ConfirmSearch
from sweeps.engine.stages import Stages
from sweeps.gan_loss_weights import SPACE
from tests.sweep_parts import Sweep, complete, record_of, small_plan

CLASSES = (0, 1)


def record_with(*means: float) -> SweepRecord:
    """A record whose configurations ended with these AUROCs in both classes."""
    return complete(record_of(small_plan(CLASSES, configs=len(means), epochs=2)), *means)


def search_of(record: SweepRecord, home: SweepHome, *, limit: int = 10, slots: int = 1) -> ConfirmSearch:
    return ConfirmSearch("confirm", [(record, candidates(record))], home, limit=limit, slots=slots)


def confirm(record: SweepRecord, home: SweepHome, number: int, *values: float) -> None:
    """Record a training with the plan's fresh seed, and leave its checkpoints."""
    [seed] = record.plan.confirm_seeds
    record.write_confirmed(number, seed, dict(zip(CLASSES, values, strict=True)))
    for index, value in zip(CLASSES, values, strict=True):
        leave_model(home, number, index, seed, value)


def leave_model(home: SweepHome, number: int, index: int, seed: int, auroc: float, *, epochs: int = 2) -> None:
    """A checkpoint of a training that has come to this, without networks."""
    config = dataclasses.replace(small_plan((index,), epochs=2).base, train_seed=seed)
    history = [{"epoch": float(epoch + 1), "val_auroc": auroc} for epoch in range(epochs)]
    Checkpoints([home.checkpoint(number, index, seed)]).save([MemberState(config, history)])


@pytest.mark.parametrize("means", [(0.8, 0.9, 0.7), (0.95, 0.9, 0.7), (0.1, 0.9, 0.7)])
def test_the_best_beside_the_default_and_the_default_are_confirmed_without_doubles(means: tuple[float, ...]) -> None:
    assert [each.number for each in candidates(record_with(*means))] == [1, 0]


def test_the_best_k_are_confirmed_beside_the_references_best_first() -> None:
    record = record_with(0.8, 0.6, 0.7, 0.9, 0.95)
    record.plan = dataclasses.replace(record.plan, best=2, paper=True)
    paper = next(number for number, own in record.configurations.items() if own.params == SPACE.points["paper"])
    assert paper in (1, 2)
    assert references(record) == {"default": record.configurations[0], "paper": record.configurations[paper]}
    assert [each.number for each in candidates(record)] == [4, 3, 0, paper]


@pytest.mark.parametrize("state", ["stopped", "failed", "diverged"])
def test_the_default_is_confirmed_however_the_search_ended_it(state: str) -> None:
    record = record_of(small_plan(CLASSES, configs=2, epochs=2))
    record.propose(0).state = state
    record.propose(1)
    record.begin(1, 2)
    record.finish_pack(2, {1: {index: [0.9, 0.9] for index in CLASSES}})
    assert [each.number for each in candidates(record)] == [1, 0]


def test_where_nothing_was_trained_to_the_end_nothing_is_confirmed() -> None:
    record = record_of(small_plan(CLASSES, configs=1, epochs=2))
    Sweep(record, lambda number, index, epoch: math.nan).run()
    assert candidates(record) == []


def test_the_default_alone_is_confirmed_alone() -> None:
    assert [each.number for each in candidates(record_with(0.8))] == [0]


def test_a_configuration_that_diverges_with_a_fresh_seed_does_not_win(tmp_path: Path) -> None:
    record = record_with(0.8, 0.9, 0.7)
    confirm(record, SweepHome(tmp_path), 1, math.nan, 0.99)
    confirm(record, SweepHome(tmp_path), 0, 0.8, 0.8)
    chosen = candidates(record)
    assert [each.number for each in confirmations(record, chosen)] == [0]
    assert search_of(record, SweepHome(tmp_path)).newly_ended() == [(0, 1, "complete"), (1, 1, "diverged")]


def test_confirmed_configurations_rank_by_their_fresh_mean_not_by_the_searchs(tmp_path: Path) -> None:
    record = record_with(0.8, 0.9, 0.7)
    confirm(record, SweepHome(tmp_path), 1, 0.8, 0.7)
    confirm(record, SweepHome(tmp_path), 0, 0.8, 0.8)
    assert [each.number for each in confirmations(record, candidates(record))] == [0, 1]


def test_what_is_recorded_is_not_trained_again_unless_its_model_is_gone(tmp_path: Path) -> None:
    record = record_with(0.95)
    search = search_of(record, SweepHome(tmp_path))
    assert len(search.remaining_jobs) == 1
    confirm(record, SweepHome(tmp_path), 0, 0.9, 0.9)
    assert search_of(record, SweepHome(tmp_path)).suggest("trial") == Searcher.FINISHED
    SweepHome(tmp_path).checkpoint(0, CLASSES[0], 1).unlink()
    assert len(search_of(record, SweepHome(tmp_path)).remaining_jobs) == 1
    record.write("test", {"1": {}})  # scored already: nothing needs the model any more
    assert search_of(record, SweepHome(tmp_path)).remaining_jobs == []


@pytest.mark.parametrize(
    ("auroc", "epochs", "reason"),
    [(0.9, 1, "trained for 1 of 2 epochs"), (0.8, 2, "validation AUROC 0.800000 there, 0.900000 on record")],
)
def test_a_model_that_is_not_the_one_on_record_is_said_and_trained_again(
    auroc: float, epochs: int, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = record_with(0.95)
    confirm(record, SweepHome(tmp_path), 0, 0.9, 0.9)
    leave_model(SweepHome(tmp_path), 0, CLASSES[1], 1, auroc, epochs=epochs)
    path = SweepHome(tmp_path).checkpoint(0, CLASSES[1], 1)
    assert len(search_of(record, SweepHome(tmp_path)).remaining_jobs) == 1
    assert capsys.readouterr().err == f"{path}: {reason}; the model is trained again\n"
    assert not path.exists(), "the training would go on behind it"


@pytest.mark.parametrize(("epochs", "left"), [([1, 2], 0), ([2], 0), ([1, 1], 1)])
def test_a_training_that_leaves_a_half_trained_model_is_repeated_at_once(
    epochs: list[int], left: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """epochs: of the models that each training leaves on disk, whatever it has reported."""
    record, home, trained = record_with(0.95), SweepHome(tmp_path), list[int]()

    def train(search: ConfirmSearch, *_: object, total: float) -> None:
        Sweep(record, lambda *_: 0.9, search=search).run()
        for index in CLASSES:
            leave_model(home, 0, index, 1, 0.9, epochs=epochs[len(trained)])
        trained.append(int(total))

    stages: Any = SimpleNamespace(
        home=home, plan=record.plan, packing={"limit": 10, "slots": 1},
        train=train, _trainable=None, tell_ended=lambda _: None,
    )  # fmt: skip
    search = Stages._confirm(stages, "confirm", [(record, candidates(record))])
    assert (len(trained), len(search.remaining_jobs)) == (len(epochs), left)
    said = "trained for 1 of 2 epochs; the model is trained again\n"
    assert capsys.readouterr().err.count(said) == 2 * epochs.count(1)


def test_a_training_that_failed_stays_to_be_done(tmp_path: Path) -> None:
    record = record_with(0.95)
    search = search_of(record, SweepHome(tmp_path))
    first = search.suggest("trial")
    search.on_trial_complete("trial", None, error=True)
    assert search.newly_ended() == []
    assert search.suggest("again") == first, "once more"
    search.on_trial_complete("again", None, error=True)
    assert search.newly_ended() == [(0, 1, "failed")]
    assert search.suggest("third") == Searcher.FINISHED
    assert len(search_of(record, SweepHome(tmp_path)).remaining_jobs) == 1


@pytest.mark.parametrize(("state", "ended"), [("failed", "final, 1"), ("stopped", "incomplete")])
def test_a_default_that_fails_in_the_search_and_again_does_not_keep_the_winner_back(
    state: str, ended: str, tmp_path: Path
) -> None:
    record, home = record_with(0.8, 0.9), SweepHome(tmp_path)
    record.configurations[0].state = state
    confirm(record, home, 1, 0.9, 0.9)
    stages: Any = SimpleNamespace(
        plan=record.plan, record=record, limit=None, _search=lambda *_: None, _fail=lambda _: "incomplete",
        _confirm=lambda *_: search_of(record, home), _final=lambda confirmed, _: f"final, {confirmed[0].number}",
    )  # fmt: skip
    assert Stages.run(stages) == ended


def test_once_the_test_part_is_open_a_default_that_was_left_out_stays_so(tmp_path: Path) -> None:
    record = record_with(0.8, 0.9)
    record.configurations[0].state = "failed"
    record.write("test", {})
    assert [each.number for each in candidates(record)] == [1]
    confirm(record, SweepHome(tmp_path), 0, 0.8, 0.8)
    assert [each.number for each in candidates(record)] == [1, 0], "it failed in the search alone"


def test_packs_are_as_large_as_can_be_and_fill_the_slots(tmp_path: Path) -> None:
    """Two configurations x one seed x two classes: four experiments."""
    record = record_with(0.8, 0.9)
    sizes = {
        (limit, slots): [
            sum(len(part.config.classes) for part in job.parts)
            for job in search_of(record, SweepHome(tmp_path), limit=limit, slots=slots).remaining_jobs
        ]
        for limit, slots in [(10, 1), (3, 1), (10, 2), (10, 3), (1, 2)]
    }
    assert sizes == {(10, 1): [4], (3, 1): [2, 2], (10, 2): [2, 2], (10, 3): [2, 2], (1, 2): [1, 1, 1, 1]}


def test_a_pack_of_which_a_part_is_done_trains_the_rest(tmp_path: Path) -> None:
    record = record_with(0.8, 0.9)
    whole = search_of(record, SweepHome(tmp_path))
    [job] = whole.remaining_jobs
    assert [(part.configuration, part.config.classes) for part in job.parts] == [(1, CLASSES), (0, CLASSES)]
    record.write_confirmed(1, 1, {0: 0.9})
    leave_model(SweepHome(tmp_path), 1, 0, 1, 0.9)
    [job] = search_of(record, SweepHome(tmp_path)).remaining_jobs
    assert [(part.configuration, part.config.classes) for part in job.parts] == [(1, (1,)), (0, CLASSES)]


def test_what_a_pack_has_come_to_is_on_record(tmp_path: Path) -> None:
    record = record_with(0.8, 0.9)
    sweep = Sweep(
        record,
        lambda number, index, epoch: number / 10 + index / 100 + epoch / 1000,
        search=search_of(record, SweepHome(tmp_path)),
    )
    sweep.run()
    assert record.complete_confirmation(1, 1) == {0: pytest.approx(0.102), 1: pytest.approx(0.112)}
    assert sweep.search.newly_ended() == [(0, 1, "complete"), (1, 1, "complete")]
