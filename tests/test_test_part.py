"""The test part: opened once, for every confirmed model, on record; opened again only where that is asked for."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adcore.datasets import ImageDataset
from adcore.evaluation.test_scores import (
    TestScores as Scores,  # under its own name pytest would take it for a class of tests
)
from adcore.evaluation.test_scores import score_test
from adcore.train.build import load_detector
from sweeps.engine.record.extend import extend_record
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results import model_scores
from sweeps.engine.results.test_part import reopening_line, score_models, why_open_already
from tests.final_parts import CLASSES, MODELS, Opened, confirmed_of, never, same, tiny_plan, trained_home
from tests.sweep_parts import record_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits_train: ImageDataset) -> SweepHome:
    return trained_home(tmp_path_factory.mktemp("final"), digits_train)


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


def test_a_second_call_reads_the_record_and_opens_nothing(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path
) -> None:
    record = record_of(tiny_plan(), path=tmp_path / "study.db")
    found = score_models(record, confirmed_of(record, home), home, Opened(digits_test))
    for later in (record, record_of(tiny_plan(), path=tmp_path / "study.db")):
        assert same(score_models(later, confirmed_of(later, home), home, never), found)
        assert len(later.read("test_openings")) == 1


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
