"""What a sampler is told of configurations that were stopped, and what it proposes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from unittest import mock

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adcore.errors import UserError
from sweeps.engine.planning import proposals, samplers
from sweeps.engine.planning.predicted import predicted_means
from sweeps.engine.planning.proposals import sampler_history
from sweeps.engine.planning.samplers import SAMPLERS, check_sampler
from tests.sweep_parts import Sweep, record_of, small_plan

CLASSES, EPOCHS = 3, 4


def additive(own: float, classes: int, epochs: int) -> dict[int, list[float]]:
    """Curves of a configuration that is as much above the others on every class, after every epoch."""
    return {index: [0.5 + own + index / 20 + epoch / 50 for epoch in range(epochs)] for index in range(classes)}


@given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=8), st.data())
def test_where_effects_add_up_the_prediction_is_the_mean(effects: list[float], data: st.DataObject) -> None:
    whole = [additive(own, CLASSES, EPOCHS) for own in effects]
    shown = [whole[0]] + [
        {index: own[index][: data.draw(st.integers(1, EPOCHS))] for index in range(data.draw(st.integers(1, CLASSES)))}
        for own in whole[1:]
    ]
    means = [np.mean([values[-1] for values in own.values()]) for own in whole]
    assert predicted_means(shown, CLASSES, EPOCHS) == pytest.approx(means, abs=1e-4)


def test_without_a_complete_one_they_rank_by_what_they_share() -> None:
    shown = [{0: [0.7]}, {0: [0.6], 1: [0.9]}, {0: [0.8]}]
    first, second, third = predicted_means(shown, CLASSES, EPOCHS)
    assert first is not None
    assert second is not None
    assert third is not None
    assert second < first < third


def test_what_has_no_finite_value_has_no_prediction() -> None:
    assert predicted_means([{0: [math.nan]}, {}, {0: [0.5]}], CLASSES, EPOCHS)[:2] == [None, None]
    assert predicted_means([], CLASSES, EPOCHS) == []


def test_the_sampler_hears_of_stopped_diverged_and_complete_ones_and_of_no_failed_one() -> None:
    plan = small_plan((0, 1, 2), configs=12)
    record = record_of(plan)
    sweep = Sweep(record, lambda n, i, e: math.nan if n == 2 else 0.8 + n / 100 + i / 100, limit=1)
    while trial := sweep.start():
        if trial.parts[0].configuration == 3:
            sweep.fail(trial)
        else:
            sweep.train(trial)
    told: list[optuna.trial.FrozenTrial] = []
    with mock.patch.object(optuna.Study, "add_trials", lambda study, trials: told.extend(trials)):
        record.propose(12)
    by_params = {tuple(trial.params.values()): trial.value for trial in told}
    values = {n: by_params.get(tuple(each.params.values())) for n, each in record.configurations.items()}
    assert values[3] is None
    assert values[2] == min(value for value in values.values() if value is not None)
    for number, own in record.configurations.items():
        if own.mean is not None:
            assert values[number] == own.mean
    alive = [values[number] for number in range(12) if number not in (2, 3)]
    assert alive == sorted(alive), "the higher the number the better, complete or not"  # type: ignore[type-var]


@pytest.mark.parametrize("name", ["tpe", "gp", "random"])
def test_each_sampler_proposes_within_the_space_and_the_same_for_the_same(name: str) -> None:
    plan = dataclasses.replace(small_plan((0,), configs=8), sampler=name)
    found = []
    for _ in range(2):
        record = record_of(plan)
        Sweep(record, lambda n, i, e: 0.5 + n / 100, limit=1).run()
        found.append([each.params for each in record.configurations.values()])
    assert found[0] == found[1]
    assert all(plan.space.ranges[field].holds(value) for params in found[0] for field, value in params.items())


def test_samplers_that_cannot_be_had_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SAMPLERS:
        if name != "cmaes":
            check_sampler(name)
    with pytest.raises(UserError, match=r"unknown --sampler 'tep'; did you mean 'tpe'"):
        check_sampler("tep")
    monkeypatch.setattr(samplers.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(UserError, match="--sampler cmaes: needs the package cmaes"):
        check_sampler("cmaes")
    with pytest.raises(UserError, match="--sampler hub:some/one: needs the package optunahub"):
        check_sampler("hub:some/one")


def test_a_sampler_of_the_hub_needs_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unseeded:
        """Proposes something else each time."""

    monkeypatch.setattr(samplers.importlib.util, "find_spec", lambda package: object())
    monkeypatch.setattr(samplers, "_kind", lambda name: Unseeded)
    with pytest.raises(UserError, match="takes no seed"):
        check_sampler("hub:unseeded")
    monkeypatch.setattr(samplers, "_kind", lambda name: 1 / 0)
    with pytest.raises(UserError, match="cannot be loaded"):
        check_sampler("hub:broken")


def test_what_a_sampler_keeps_with_a_trial_is_there_for_its_next_proposal() -> None:
    plan = dataclasses.replace(small_plan((0,), configs=8), space=dataclasses.replace(small_plan().space, points={}))
    record = record_of(plan)

    class Keeps(optuna.samplers.RandomSampler):
        """Counts its proposals in what it keeps with them."""

        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            before = [each.system_attrs.get("count", 0) for each in study.get_trials(deepcopy=False)]
            study._storage.set_trial_system_attr(trial._trial_id, "count", 1 + max(before, default=0))

    with mock.patch.object(proposals, "make_sampler", lambda name, seed, startup: Keeps(seed=seed)):
        for number in range(3):
            record.propose(number)
    assert [each.system_attrs["count"] for each in record.study.get_trials()] == [1, 2, 3]


def test_of_many_configurations_a_sampler_hears_of_the_best_the_latest_and_the_newest() -> None:
    def best(count: int) -> list[int]:
        return list(range(1000, 1000 + count))

    def last(count: int) -> list[int]:
        return list(range(1500, 1500 + count))

    few, many = range(7, 7 + proposals.MOST), range(9000)
    assert sampler_history(few, best, last) == few, "all of them"
    heard = sampler_history(many, best, last)
    assert heard == [*best(proposals.BEST), *last(proposals.LAST), *range(9000 - proposals.NEW, 9000)]


def test_a_resumed_search_of_many_configurations_proposes_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, number in {"BEST": 2, "LAST": 4, "NEW": 2, "MOST": 8}.items():
        monkeypatch.setattr(proposals, name, number)
    plan = small_plan((0, 1), configs=20)
    heard: list[int] = []
    tell = proposals._as_complete
    monkeypatch.setattr(proposals, "_as_complete", lambda plan, known: heard.append(len(known)) or tell(plan, known))
    whole = record_of(plan)
    Sweep(whole, lambda n, i, e: 0.9 - n % 7 / 50 + i / 100, limit=2).run()
    assert max(heard) == 8, "more are on record"
    while True:
        record = record_of(plan, path=tmp_path / "resumed.db")  # opened again for each pack
        if not Sweep(record, lambda n, i, e: 0.9 - n % 7 / 50 + i / 100, limit=2).run(1):
            break
    assert record.configurations == whole.configurations
