"""The test part: opened once, for every confirmed model, on record; and what is computed from its scores."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.evaluation import test_scores as evaluation
from adcore.evaluation.test_scores import (
    TestScores as Scores,  # under its own name pytest would take it for a class of tests
)
from adcore.evaluation.test_scores import score_test
from adcore.metrics import auroc_influence
from adcore.train import train
from adcore.train.build import load_detector
from adcore.train.checkpoints import Checkpoints, read
from sweeps.engine import stages as stages_module
from sweeps.engine.machine.resources import THIS_PROCESS
from sweeps.engine.planning.plan import Plan
from sweeps.engine.record.confirmation import Confirmation, confirmations
from sweeps.engine.record.extend import extend_record
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results import model_scores
from sweeps.engine.results.test_part import reopening_line, score_models, why_open_already
from sweeps.engine.results.test_result import TestResult as Result
from sweeps.engine.stages import Stages
from tests.sweep_parts import record_of, small_plan

CLASSES = (0, 3)
MODELS = [(0, 1), (0, 2), (1, 1), (1, 2)]


def tiny_plan() -> Plan:
    plan = small_plan(CLASSES, configs=2, epochs=1)
    base = dataclasses.replace(plan.base, width=2, sampling="random")
    return dataclasses.replace(plan, base=base, seeds=2)


def confirmed_of(record: SweepRecord, home: SweepHome | None = None, *, count: int = 2) -> list[Confirmation]:
    """The first configurations, with recorded validation figures of every fresh seed: those of the models in `home`."""
    for number in range(record.plan.configs):
        record.propose(number)
    for number in range(count):
        for seed in record.plan.confirm_seeds:
            record.write_confirmed(number, seed, {i: _auroc(home, number, i, seed) for i in record.plan.classes})
    return confirmations(record, list(record.configurations.values()))


def _auroc(home: SweepHome | None, number: int, index: int, seed: int) -> float:
    path = home and home.checkpoint(number, index, seed)
    return read(path)[0].history[-1]["val_auroc"] if path and path.exists() else 0.9 - 0.1 * number


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits_train: ImageDataset) -> SweepHome:
    """The folder of a sweep whose confirmation has trained two configurations with two seeds."""
    home = SweepHome(tmp_path_factory.mktemp("final"))
    record = record_of(tiny_plan())
    confirmed_of(record)
    for number, seed in MODELS:
        config = dataclasses.replace(record.plan.base, learning_rate=1e-3 * (1 + 9 * number), train_seed=seed)
        checkpoints = Checkpoints(home.checkpoints_of(number, CLASSES, seed))
        train(config, lambda _: None, data=digits_train, checkpoints=checkpoints)
    return home


class Opened:
    """Opens the test part and counts how often; interrupted as often as it is told to be."""

    def __init__(self, data: ImageDataset, *, interrupted: int = 0) -> None:
        self.data, self.interrupted, self.count = data, interrupted, 0

    def __call__(self) -> ImageDataset:
        self.count += 1
        if self.count <= self.interrupted:
            raise KeyboardInterrupt
        return self.data


def never() -> ImageDataset:
    raise AssertionError("the test part was opened")


def same(one: Result, other: Result) -> bool:
    return (
        (one.measured, one.images) == (other.measured, other.images)
        and list(one.covariance) == list(other.covariance)
        and all(np.array_equal(one.covariance[name], other.covariance[name]) for name in one.covariance)
    )


def test_every_confirmed_model_is_scored_and_the_test_part_opened_once(
    home: SweepHome, digits_test: ImageDataset
) -> None:
    record, opened = record_of(tiny_plan()), Opened(digits_test)
    found = score_models(record, confirmed_of(record, home), home, opened)
    assert opened.count == 1
    assert list(found.measured) == MODELS
    for number, seed in MODELS:
        config, detector = load_detector(home.checkpoints_of(number, CLASSES, seed), 1)
        scored = score_test(detector, config, digits_test)
        assert found.measured[number, seed] == scored.measured()
        assert found.images == len(scored.labels) == 299
    assert found.means(1) == [
        pytest.approx(np.mean([found.measured[1, seed][index]["auroc"] for index in CLASSES])) for seed in (1, 2)
    ]
    assert found.by_class(1, "ap") == {i: [found.measured[1, seed][i]["ap"] for seed in (1, 2)] for i in CLASSES}
    assert len(set(found.means(0) + found.means(1))) == 4, "models that are alike would prove nothing"


def test_models_that_were_scored_before_an_interrupt_are_not_scored_again(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, progress, scored = record_of(tiny_plan()), list[tuple[int, int]](), list[model_scores.Training]()
    shutil.copytree(home.checkpoints, tmp_path / "checkpoints")
    confirmed, score = confirmed_of(record, home), model_scores.score_training

    def watched(*arguments: Any) -> Scores:
        scored.append(arguments[1])
        return score(*arguments)

    def interrupt(done: int, total: int) -> None:
        progress.append((done, total))
        if len(progress) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(model_scores, "score_training", watched)
    with pytest.raises(KeyboardInterrupt):
        score_models(record, confirmed, SweepHome(tmp_path), Opened(digits_test), on_progress=interrupt)
    cut = sorted((tmp_path / "test-scores").iterdir())[0]
    cut.write_bytes(cut.read_bytes()[:100])
    found = score_models(record, confirmed, SweepHome(tmp_path), Opened(digits_test), on_progress=interrupt)
    assert progress == [(1, 4), (2, 4), (3, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(scored) == 3 + 2, "the last one, and the one whose file was cut"
    assert len(record.read("test_openings")) == 1
    assert not (tmp_path / "test-scores").exists()
    whole = record_of(tiny_plan())
    assert same(found, score_models(whole, confirmed_of(whole, home), home, Opened(digits_test)))


def test_scores_of_a_model_that_was_trained_again_since_are_not_taken(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path
) -> None:
    shutil.copytree(home.checkpoints, tmp_path / "checkpoints")
    own = SweepHome(tmp_path)

    def scored(configuration: int, data: ImageDataset | None) -> Scores:
        """The scores of configuration 0, with the AUROCs of this one on record."""
        aurocs = {(0, CLASSES, 1): [_auroc(home, configuration, index, 1) for index in CLASSES]}
        [(_, found)] = model_scores.scored_trainings(aurocs, own, data, THIS_PROCESS)  # type: ignore[arg-type]
        return found

    first = scored(0, digits_test)
    assert torch.equal(first.scores, scored(0, None).scores), "from disk: the images are not looked at"
    for index in CLASSES:
        shutil.copy(own.checkpoint(1, index, 1), own.checkpoint(0, index, 1))
    assert not torch.equal(first.scores, scored(1, digits_test).scores)


def test_a_second_call_reads_the_record_and_opens_nothing(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan(), path=tmp_path / "study.db")
    found = score_models(record, confirmed_of(record, home), home, Opened(digits_test))
    for later in (record, record_of(tiny_plan(), path=tmp_path / "study.db")):
        assert same(score_models(later, confirmed_of(later, home), home, never), found)
        assert len(later.read("test_openings")) == 1


def test_with_a_model_gone_the_test_part_stays_closed(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan())
    confirmed = confirmed_of(record, home)
    with pytest.raises(UserError, match=r"class-0\.ckpt: no such file; the test part stays closed"):
        score_models(record, confirmed, SweepHome(tmp_path), never)
    assert record.read("test_openings") is None
    assert score_models(record, confirmed, home, Opened(digits_test)).measured


def test_a_model_that_is_not_the_confirmed_one_keeps_the_test_part_closed(
    home: SweepHome, digits_train: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan())
    confirmed = confirmed_of(record, home)
    shutil.copytree(home.checkpoints, tmp_path / "checkpoints")
    path = SweepHome(tmp_path).checkpoint(1, 3, 2)
    other = SweepHome(tmp_path).checkpoint(0, 3, 1).read_bytes()
    longer = dataclasses.replace(read(path)[0].config, epochs=2)

    def interrupt(_: dict[str, float]) -> None:
        raise KeyboardInterrupt

    path.unlink()
    with pytest.raises(KeyboardInterrupt):
        train(longer, interrupt, data=digits_train, checkpoints=Checkpoints(path, every=0))
    for content, reason in (
        (path.read_bytes(), "trained for 1 of 2 epochs"),
        (other, r"validation AUROC 0\.\d+ there, 0\.\d+ on record"),
        (b"PK", "not a checkpoint"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"class-3\.ckpt: {reason}.*; the test part stays closed"):
            score_models(record, confirmed, SweepHome(tmp_path), never)
    assert record.read("test_openings") is None


def test_a_model_that_changes_after_the_opening_is_not_scored(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path
) -> None:
    """As when a worker of a node that was given up still writes to the storage."""
    record = record_of(tiny_plan())
    confirmed = confirmed_of(record, home)
    shutil.copytree(home.checkpoints, tmp_path / "checkpoints")
    own = SweepHome(tmp_path)

    def opened() -> ImageDataset:
        shutil.copy(own.checkpoint(0, 3, 1), own.checkpoint(1, 3, 2))
        return digits_test

    with pytest.raises(
        UserError, match=r"seed-2/class-3\.ckpt: validation AUROC .*; it was not scored; --resume trains"
    ):
        score_models(record, confirmed, own, opened)
    assert record.read("test") is None
    assert len(record.read("test_openings")) == 1
    shutil.copy(home.checkpoint(1, 3, 2), own.checkpoint(1, 3, 2))
    assert list(score_models(record, confirmed, own, Opened(digits_test)).measured) == MODELS
    assert len(record.read("test_openings")) == 1, "the resume goes on with the same opening"


def test_the_opening_is_on_record_before_the_test_part_is_opened(home: SweepHome, digits_test: ImageDataset) -> None:
    record = record_of(tiny_plan())
    confirmed = confirmed_of(record, home)
    assert record.read("test_openings") is None

    def look() -> ImageDataset:
        assert len(record.read("test_openings")) == 1
        return digits_test

    score_models(record, confirmed, home, look)


def test_models_that_were_not_scored_are_not_scored_later_in_silence(
    home: SweepHome, digits_test: ImageDataset
) -> None:
    record = record_of(tiny_plan())
    both = confirmed_of(record, home)
    assert why_open_already(record, both) == ""
    score_models(record, both[:1], home, Opened(digits_test))
    assert why_open_already(record, both[:1]) == ""
    for other in (both, both[1:]):
        reason = why_open_already(record, other)
        assert f"opened {record.read('test_openings')[0]} for the configurations 0, " in reason
        assert "--open-test-again" in reason
        assert "\n" not in reason


def test_one_more_seed_of_the_same_configuration_is_another_model(home: SweepHome, digits_test: ImageDataset) -> None:
    record = record_of(tiny_plan())
    both = confirmed_of(record, home)
    one_seed = [dataclasses.replace(each, by_seed={1: each.by_seed[1]}) for each in both]
    score_models(record, one_seed, home, Opened(digits_test))
    assert why_open_already(record, one_seed) == ""
    assert why_open_already(record, both)


def test_opened_again_is_scored_again_and_on_record_twice(home: SweepHome, digits_test: ImageDataset) -> None:
    record, opened = record_of(tiny_plan()), Opened(digits_test)
    both = confirmed_of(record, home)
    score_models(record, both[:1], home, opened)
    found = score_models(record, both, home, opened, open_again=True)
    assert opened.count == 2
    assert list(found.measured) == MODELS
    assert len(record.read("test_openings")) == 2
    assert why_open_already(record, both) == ""
    assert same(score_models(record, both, home, never), found)


@pytest.mark.parametrize("again", [False, True])
def test_an_opening_that_ended_without_a_figure_is_gone_on_with(
    home: SweepHome, digits_test: ImageDataset, again: bool
) -> None:
    record, opened = record_of(tiny_plan()), Opened(digits_test, interrupted=1)
    confirmed = confirmed_of(record, home)
    with pytest.raises(KeyboardInterrupt):
        score_models(record, confirmed, home, opened)
    assert record.read("test") is None
    assert why_open_already(record, confirmed) == ""
    first = record.read("test_openings")
    score_models(record, confirmed, home, opened, open_again=again)
    assert record.read("test_openings") == first
    assert len(first) == 1


@pytest.fixture(scope="module")
def found(home: SweepHome, digits_test: ImageDataset) -> Result:
    record = record_of(tiny_plan())
    return score_models(record, confirmed_of(record, home), home, Opened(digits_test))


def test_a_result_comes_back_from_json_to_the_last_digit(found: Result) -> None:
    assert same(Result.from_record(json.loads(json.dumps(found.as_record()))), found)


def test_image_variance_is_that_of_means_and_of_differences(found: Result) -> None:
    matrix = found.covariance[""]
    assert matrix.shape == (4, 4)
    own = found.image_variance("", 0)
    assert own == pytest.approx(matrix[:2, :2].sum() / 4)
    assert found.image_variance_of_one("", 0) == pytest.approx((matrix[0, 0] + matrix[1, 1]) / 2)
    between = matrix[:2, 2:].sum() / 4
    difference = own + found.image_variance("", 1) - 2 * between
    assert found.image_variance("", 0, minus=1) == pytest.approx(difference)
    assert found.image_variance("", 1, minus=0) == pytest.approx(difference)
    assert own > 0 < difference


def test_a_class_has_the_image_variance_of_its_own_auroc(found: Result) -> None:
    own = [found.class_variance[0, seed][3] for seed in (1, 2)]
    assert found.image_variance_of_class(0, 3) == pytest.approx(np.mean(own))
    for model, place in zip(MODELS, range(4), strict=True):
        spread = np.sqrt([found.class_variance[model][index] for index in CLASSES])
        bounds = abs(spread[0] - spread[1]) / 2, spread.sum() / 2  # of a mean of two, whatever their correlation
        assert bounds[0] <= np.sqrt(found.covariance[""][place, place]) * (1 + 1e-9) <= bounds[1] * (1 + 2e-9)
    older = {name: value for name, value in found.as_record().items() if name != "class_variance"}
    assert np.isnan(Result.from_record(older).image_variance_of_class(0, 3))


def test_a_configuration_differs_from_itself_by_nothing(found: Result) -> None:
    assert [found.image_variance("", number, minus=number) for number in (0, 1)] == [0, 0]


def test_rounding_makes_no_variance_negative() -> None:
    models = [(number, seed) for number in (0, 1) for seed in (1, 2, 3)]
    for draw in range(50):  # two configurations whose models rank the images alike
        influences = np.random.default_rng(draw).normal(0, 1e-3, (3, 300))[[0, 1, 2, 0, 1, 2]]
        alike = Result({model: {} for model in models}, {"": influences @ influences.T}, images=300)
        assert alike.image_variance("", 0, minus=1) >= 0


# Without detectors: scores of a part of 200 images that depend on configuration, seed and class alone.

LABELS = torch.arange(200) % 10


def _scores_of(number: int, seed: int, index: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(100 * number + 10 * seed + index)
    return torch.rand(len(LABELS), generator=stream) + 0.5 * (index != LABELS)


@pytest.fixture
def _no_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    class Detector:
        def __init__(self, paths: list[Path]) -> None:
            self.number, self.seed = (int(paths[0].parts[place].split("-")[1]) for place in (-3, -2))
            self.classes = tuple(int(path.stem.split("-")[1]) for path in paths)

        def to(self, _: torch.device) -> Detector:
            return self

    def load(paths: list[Path], _channels: int) -> tuple[TrainConfig, Detector]:
        detector = Detector(paths)
        protocol: dict[str, Any] = {"protocol": "seen-unseen", "known_classes": 4} if detector.number == 1 else {}
        return TrainConfig(dataset="digits", classes=detector.classes, **protocol), detector

    def score(detector: Detector, config: TrainConfig, _: ImageDataset) -> Scores:
        columns = [_scores_of(detector.number, detector.seed, index) for index in detector.classes]
        return Scores(config, torch.stack(columns, 1), LABELS)

    monkeypatch.setattr(model_scores, "load_detector", load)
    monkeypatch.setattr(model_scores, "differences_to_record", lambda *_: {})
    monkeypatch.setattr(evaluation, "score_test", score)


@pytest.mark.usefixtures("_no_detectors")
@pytest.mark.parametrize("numbers", [[0], [1]])
def test_seen_and_unseen_anomalies_are_told_apart_where_they_differ(
    numbers: list[int], digits_test: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan())
    chosen = [each for each in confirmed_of(record) if each.number in numbers]
    found = score_models(record, chosen, SweepHome(tmp_path), Opened(digits_test))
    assert list(found.covariance) == (["", "seen", "unseen"] if numbers == [1] else [""])


@pytest.mark.usefixtures("_no_detectors")
def test_the_covariance_is_of_means_over_the_classes_on_the_same_images(
    digits_test: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan())
    found = score_models(record, confirmed_of(record)[:1], SweepHome(tmp_path), Opened(digits_test))
    influences = []
    for seed in (1, 2):
        each = [auroc_influence(_scores_of(0, seed, index), index != LABELS) for index in CLASSES]
        influences.append(np.mean(each, 0))
    expected = np.stack(influences) @ np.stack(influences).T * 200 / 199
    np.testing.assert_allclose(found.covariance[""], expected, rtol=1e-12)


def test_an_extended_sweep_opens_it_again_for_other_models_only_and_counts_that(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path
) -> None:
    path, plan = tmp_path / "study.db", tiny_plan()
    record = record_of(plan, path=path)
    for name, value in (("plan", plan.as_record()), ("settings", {"configs": plan.configs})):
        record.write(name, value)
    first = score_models(record, confirmed_of(record, home, count=1), home, lambda: digits_test)

    def grown(configs: int) -> SweepRecord:
        extend_record(path, dataclasses.replace(plan, configs=configs))
        return record_of(dataclasses.replace(plan, configs=configs), path=path)

    record = grown(3)
    confirmed = confirmed_of(record, home, count=1)
    assert reopening_line(record, confirmed) == why_open_already(record, confirmed) == ""
    assert same(score_models(record, confirmed, home, never), first)
    assert len(record.read("test_openings")) == 1
    record = grown(4)
    confirmed = confirmed_of(record, home)
    assert f"opened {record.read('test_openings')[0]} for the configurations 0; " in reopening_line(record, confirmed)
    assert why_open_already(record, confirmed) == "", "nobody has to ask for it"
    interrupted = Opened(digits_test, interrupted=1)
    with pytest.raises(KeyboardInterrupt):
        score_models(record, confirmed, home, interrupted)
    second = score_models(record, confirmed, home, interrupted)
    assert list(second.measured) == MODELS
    assert len(record.read("test_openings")) == 2, "what was interrupted is continued"
    assert reopening_line(record, confirmed) == ""
    assert same(score_models(record, confirmed, home, never), second)


def _stages(record: SweepRecord, home: SweepHome) -> Any:
    """What the scoring of the test part asks of a sweep's stages."""
    display = SimpleNamespace(print=lambda _: None, end=lambda: None, show_scored=lambda _done, _total: None)
    stages: Any = Stages.__new__(Stages)
    stages.record, stages.plan, stages.home, stages.display = record, record.plan, home, display
    stages.cluster_slots = SimpleNamespace(resources=THIS_PROCESS)
    stages.data = stages.settings = None
    stages.copy_record, stages.note_code = (lambda: None), (lambda: None)
    stages.tracking = SimpleNamespace(open_sweep=lambda _: None)
    return stages


@pytest.mark.parametrize("killed_in", ["inspect_model", "score_training"])
def test_figures_and_scores_are_of_one_opening_which_a_resume_continues(
    killed_in: str, home: SweepHome, digits_test: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, opened, drawn, kills = record_of(tiny_plan()), Opened(digits_test), list[int](), iter([True])
    score = model_scores.score_training

    def kill(place: str) -> None:
        if place == killed_in and next(kills, False):
            raise KeyboardInterrupt

    def draw(winner: int, *_: Any, **__: Any) -> None:
        kill("inspect_model")
        drawn.append(winner)

    def scored(*arguments: Any) -> Scores:
        kill("score_training")
        return score(*arguments)

    monkeypatch.setattr(stages_module, "load_test_part", lambda *_: opened())
    monkeypatch.setattr(stages_module, "inspect_model", draw)
    monkeypatch.setattr(model_scores, "score_training", scored)
    confirmed, stages = confirmed_of(record, home), _stages(record, home)
    with pytest.raises(KeyboardInterrupt):
        stages._score(confirmed, {}, open_again=False)
    assert record.read("test") is None
    stages._score(confirmed, {}, open_again=False)
    assert drawn == [confirmed[0].number]
    assert len(record.read("test_openings")) == 1
    stages._score(confirmed, {}, open_again=False)
    assert opened.count == 2, "with scores on record it stays closed"
