"""--objective per-class: each class's own search, side by side with the others', and what one weight vector costs."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.datasets import DATASETS
from adcore.errors import UserError
from adcore.evaluation import test_scores as evaluation
from adcore.metrics import auroc_influence
from sweeps import loss_ablation
from sweeps.engine.main import main
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import NUMBERS_PER_CLASS, Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results import model_scores
from sweeps.engine.results.intervals import Interval
from sweeps.engine.results.per_class import choose_own_best, compare_per_class
from sweeps.engine.results.test_part import score_models, why_open_already
from sweeps.engine.results.test_result import OWN_BEST
from sweeps.engine.results.test_result import TestResult as Result
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.gan_loss_weights import SPACE
from tests.sweep_parts import Sweep, complete, record_of, small_plan

CLASSES = (0, 3, 6)


def plan_of(classes: tuple[int, ...] = CLASSES, *, configs: int = 8) -> Plan:
    return dataclasses.replace(small_plan(classes, configs=configs), objective="per-class")


class ByClass(Sweep):
    """The classes' own searches of a sweep, side by side."""

    def __init__(self, record: SweepRecord, *, limit: int = 3, slots: int = 1) -> None:
        self.records = {index: record.of_class(index) for index in record.plan.base.classes}
        search = LadderSearch("search by class", list(self.records.values()), limit=limit, slots=slots)
        super().__init__(record, auroc, search=search)


def auroc(number: int, index: int, epoch: int) -> float:
    """What the configurations of a class's own search reach, with ups and downs of their own."""
    noise = random.Random(f"{index} {epoch} {number}").uniform(-0.05, 0.05)
    return 0.9 - 0.1 * abs(number % NUMBERS_PER_CLASS / 8 - index / 6) / epoch + noise


def drive(sweep: Sweep, *, slots: int = 1, seed: int = 0) -> Iterator[SimpleNamespace]:
    """Trial after trial, their ends in an order drawn by chance, as many at a time as there are slots."""
    luck, under_way = random.Random(seed), []
    while True:
        while len(under_way) < slots and (trial := sweep.start()):
            under_way.append(trial)
        if not under_way:
            return
        trial = under_way.pop(luck.randrange(len(under_way)))
        sweep.train(trial)
        yield trial


def test_a_class_decides_as_its_own_sweep_alone() -> None:
    together = ByClass(record_of(plan_of()))
    together.run()
    for index in CLASSES:
        alone = record_of(plan_of()).of_class(index)
        Sweep(alone, auroc, limit=3).run()
        assert alone.configurations == together.records[index].configurations
        states = alone.ledger.counts()
        assert states["complete"] >= 2
        assert states["stopped"] >= 1, "nothing was decided"
        assert states["complete"] + states["stopped"] == 8


@pytest.mark.parametrize("slots", [3, 7])
def test_searches_side_by_side_end_with_every_class(slots: int) -> None:
    sweep = ByClass(record_of(plan_of()), slots=slots)
    classes = [{index for part in trial.parts for index in part.config.classes} for trial in drive(sweep, slots=slots)]
    assert all(len(own) == 1 for own in classes)
    assert all(record.is_searched and record.best(1) for record in sweep.records.values())


def test_the_searches_take_turns_and_one_alone_fills_the_slots() -> None:
    sweep = ByClass(record_of(plan_of((0, 3), configs=6)), slots=2)
    trials = list(iter(sweep.start, None))
    assert [trial.parts[0].config.classes for trial in trials] == [(0,), (3,)] * 6
    assert {len(trial.parts) for trial in trials} == {1}, "a quarter of the configurations, shared by two slots"

    record = record_of(plan_of((0, 3), configs=6))
    Sweep(record.of_class(0), auroc).run()  # class 0 has nothing left
    sweep = ByClass(record, slots=2)
    assert [sweep.start().parts[0].config.classes for _ in range(2)] == [(3,)] * 2  # type: ignore[union-attr]


def test_numbers_are_unique_and_proposals_are_each_searchs_own() -> None:
    plan = plan_of(tuple(range(10)), configs=5)
    common = record_of(plan)
    Sweep(common).run()
    sweep = ByClass(common)
    sweep.run()
    records = [common, *sweep.records.values()]
    numbers = [number for record in records for number in record.configurations]
    assert len(numbers) == len(set(numbers)) == 11 * 5
    for index, record in sweep.records.items():
        assert {plan.search_class(number) for number in record.configurations} == {index}
        assert [each.params for each in record.configurations.values()][:3] == list(SPACE.points.values())
    assert {plan.search_class(number) for number in common.configurations} == {None}


def test_the_common_search_proposes_what_it_does_without_the_classes() -> None:
    found = []
    for objective in ("mean", "per-class"):
        record = record_of(dataclasses.replace(plan_of(configs=6), objective=objective))
        Sweep(record, auroc).run()
        found.append(record.configurations)
    assert found[0] == found[1]


@pytest.mark.parametrize("after", [1, 5, 9])
def test_a_resumed_search_by_class_ends_as_the_uninterrupted_one(after: int) -> None:
    whole = ByClass(record_of(plan_of(configs=5)))
    trials = len(whole.run())
    record = record_of(plan_of(configs=5))
    ByClass(record).run(after)  # and then it is killed
    resumed = ByClass(SweepRecord(record.study, record.plan))
    assert not all(record.is_searched for record in resumed.records.values())
    assert len(resumed.run()) == trials - after
    for index, own in resumed.records.items():
        assert own.is_searched
        assert own.configurations == whole.records[index].configurations


def confirmed(record: SweepRecord, number: int, *values: float) -> Confirmation:
    """Record a configuration's AUROCs with the plan's fresh seed, one per class."""
    [seed] = record.plan.confirm_seeds
    by_class = dict(zip(record.plan.base.classes, values, strict=True))
    record.write_confirmed(number, seed, by_class)
    return Confirmation(record.configurations[number], {seed: by_class})


def test_own_best_is_never_confirmed_below_the_common_winner() -> None:
    luck = random.Random(0)
    taken = set()
    for _ in range(20):
        common = complete(record_of(plan_of(configs=1)), 0.5)
        winner = confirmed(common, 0, *(luck.uniform(0.4, 0.9) for _ in CLASSES))
        sweep = ByClass(common)
        sweep.run()
        for record in sweep.records.values():
            [number] = record.configurations
            confirmed(record, number, luck.choice([luck.uniform(0.4, 0.9), math.nan]))
        for index, each in choose_own_best(winner, sweep.records).items():
            assert each.by_class()[index] >= winner.by_class()[index]
            taken.add(each is winner)
    assert taken == {True, False}


def test_a_class_whose_search_failed_falls_back_on_the_common_winner() -> None:
    common = complete(record_of(plan_of((0, 3), configs=1)), 0.5)
    winner, sweep = confirmed(common, 0, 0.5, 0.5), ByClass(common, slots=2)
    while trial := sweep.start():
        if trial.parts[0].config.classes == (0,):
            sweep.fail(trial)
        else:
            sweep.train(trial)
    confirmed(sweep.records[3], 4 * NUMBERS_PER_CLASS, 0.8)
    assert [sweep.records[index].ledger.counts()["failed"] for index in (0, 3)] == [1, 0]
    own = choose_own_best(winner, sweep.records)
    assert [own[index].number for index in (0, 3)] == [0, 4 * NUMBERS_PER_CLASS]


def scores_of(number: int, classes: tuple[int, ...], seed: int) -> evaluation.TestScores:
    """Made-up anomaly scores of 60 images of six classes; those of one class depend on its own training alone."""
    labels = torch.arange(60) % 6
    columns = [
        torch.from_numpy(np.random.default_rng([number + 1, index, seed]).normal(size=60)) + (labels != index)
        for index in classes
    ]
    return evaluation.TestScores(TrainConfig(classes=classes), torch.stack(columns, 1), labels)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A test part scored for configuration 0, the winner, and 1; class 3 has an own best, class 0 has the winner."""

    def load(paths: list[Path], channels: int) -> tuple[TrainConfig, torch.nn.Module]:
        number, seed, _ = (int(part.split("-", 1)[1]) for part in paths[0].with_suffix("").parts[-3:])
        detector = torch.nn.Identity()
        detector.scores = scores_of(number, tuple(int(path.stem.split("-")[1]) for path in paths), seed)
        return TrainConfig(), detector

    monkeypatch.setattr(model_scores, "load_detector", load)
    monkeypatch.setattr(model_scores, "differences_to_record", lambda *_: {})
    monkeypatch.setattr(evaluation, "score_test", lambda detector, config, data: detector.scores)
    plan = dataclasses.replace(plan_of((0, 3), configs=2), seeds=2)
    record, own = record_of(plan), {0: 0, 3: 4 * NUMBERS_PER_CLASS}
    seeds = {seed: {0: 0.5, 3: 0.5} for seed in plan.confirm_seeds}
    both = [Confirmation(Configuration(number, {}), seeds) for number in (0, 1)]
    data = SimpleNamespace(channels=1, info=DATASETS["digits"])
    test = score_models(record, both, SweepHome(tmp_path), lambda: data, own_best=own)  # type: ignore[arg-type,return-value]
    return SimpleNamespace(record=record, own=own, both=both, test=test, plan=plan)


def test_the_own_best_is_scored_class_by_class_on_the_same_images(scored: SimpleNamespace) -> None:
    trained = {0: (0, (0, 3)), 3: (4 * NUMBERS_PER_CLASS, (3,))}
    differences, influence = [], np.zeros(60)
    for seed in scored.plan.confirm_seeds:
        for index, (number, classes) in trained.items():
            expected = scores_of(number, classes, seed)
            assert scored.test.measured[OWN_BEST, seed][index] == expected.measured()[index]
        common, own = scores_of(0, (0, 3), seed), scores_of(4 * NUMBERS_PER_CLASS, (3,), seed)
        differences.append((own.measured()[3]["auroc"] - common.measured()[3]["auroc"]) / 2)
        others = own.labels != 3
        for sign, scores in ((1, own.scores[:, 0]), (-1, common.scores[:, 1])):
            influence += sign * auroc_influence(scores, others) / 2 / 2  # of two classes, and of two seeds
    found = compare_per_class(
        scored.plan,
        scored.both,
        {0: scored.both[0], 3: Confirmation(Configuration(4 * NUMBERS_PER_CLASS, {}), {})},
        scored.test,
    )
    assert found.cost.value == pytest.approx(fmean(differences), abs=1e-12)
    variance = scored.test.image_variance("", OWN_BEST, minus=0)
    assert variance == pytest.approx(float(influence @ influence), rel=1e-9)
    assert found.cost.half > 1.96 * math.sqrt(variance), "seeds add to what images alone say"


def test_more_of_a_minimised_metric_is_a_cost(scored: SimpleNamespace) -> None:
    found = compare_per_class(scored.plan, scored.both, dict.fromkeys((0, 3), scored.both[0]), scored.test)
    own_is_lower = dataclasses.replace(found, cost=Interval(-0.01, 0.004))
    assert "costs -0.0100 AUROC (95 % interval -0.0140 to -0.0060" in own_is_lower.sentence
    minimised = dataclasses.replace(own_is_lower, plan=dataclasses.replace(scored.plan, metric="fpr95"))
    assert "costs +0.0100 FPR at 95 % TPR" in minimised.sentence
    assert "interval +0.0060 to +0.0140" in minimised.sentence


def test_a_difference_of_the_same_models_is_zero(scored: SimpleNamespace, tmp_path: Path) -> None:
    data, own = SimpleNamespace(channels=1, info=DATASETS["digits"]), dict.fromkeys((0, 3), 0)
    test = score_models(record_of(scored.plan), scored.both, SweepHome(tmp_path), lambda: data, own_best=own)  # type: ignore[arg-type,return-value]
    assert test.image_variance("", OWN_BEST, minus=0) == pytest.approx(0, abs=1e-12)
    assert compare_per_class(scored.plan, scored.both, dict.fromkeys((0, 3), scored.both[0]), test).cost.value == 0


def test_other_own_bests_than_those_scored_are_refused(scored: SimpleNamespace) -> None:
    assert Result.from_record(json.loads(json.dumps(scored.test.as_record()))).own_best == scored.own
    assert why_open_already(scored.record, scored.both, scored.own) == ""
    reason = why_open_already(scored.record, scored.both, {0: 0, 3: 4 * NUMBERS_PER_CLASS + 1})
    assert "for the configurations 0, 1, 4000, which are not" in reason
    assert why_open_already(scored.record, scored.both)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"configs": 1000}, "--configs 1000: expected at most 999"),
        ({"normal_class": (6,)}, "expected at least 2 classes, got 1"),
    ],
)
def test_what_no_class_can_search_for_itself_is_refused(changes: dict[str, object], named: str) -> None:
    settings = SweepSettings(scale="smoke", objective="per-class", **changes)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=named):
        make_plan("gan_loss_weights", settings, SPACE)


def test_a_grid_refuses_it_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main("loss_ablation", "", loss_ablation.SPACE, ["--scale", "smoke", "--objective", "per-class"])
    assert refused.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--objective per-class: this script trains only its 12 points" in line


def test_the_plan_tells_its_cost() -> None:
    mean, by_class = (
        plan_in_words(make_plan("gan_loss_weights", settings, SPACE), settings)
        for settings in (SweepSettings(scale="laptop"), SweepSettings(scale="laptop", objective="per-class"))
    )
    assert "at most 0.6 M images in the search, 0.5 M images to confirm" in mean
    assert "at most 2.6 M images in the search, 0.7 M images to confirm" in by_class
    assert "by class   10 searches" in by_class
