"""Models that are gone, or not the confirmed ones: found before and after the test part is opened, and not scored."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.evaluation.test_scores import (
    TestScores as Scores,  # under its own name pytest would take it for a class of tests
)
from adcore.train import train
from adcore.train.checkpoints import Checkpoints, read
from sweeps.engine.machine.resources import THIS_PROCESS
from sweeps.engine.record.home import SweepHome
from sweeps.engine.results import model_scores
from sweeps.engine.results.test_part import score_models
from tests.final_parts import CLASSES, MODELS, Opened, auroc_on_record, confirmed_of, never, tiny_plan, trained_home
from tests.sweep_parts import record_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits_train: ImageDataset) -> SweepHome:
    return trained_home(tmp_path_factory.mktemp("final"), digits_train)


def test_scores_of_a_model_that_was_trained_again_since_are_not_taken(
    home: SweepHome, digits_test: ImageDataset, tmp_path: Path
) -> None:
    shutil.copytree(home.checkpoints, tmp_path / "checkpoints")
    own = SweepHome(tmp_path)

    def scored(configuration: int, data: ImageDataset | None) -> Scores:
        """The scores of configuration 0, with the AUROCs of this one on record."""
        aurocs = {(0, CLASSES, 1): [auroc_on_record(home, configuration, index, 1) for index in CLASSES]}
        [(_, found)] = model_scores.scored_trainings(aurocs, own, data, THIS_PROCESS)  # type: ignore[arg-type]
        return found

    first = scored(0, digits_test)
    assert torch.equal(first.scores, scored(0, None).scores), "from disk: the images are not looked at"
    for index in CLASSES:
        shutil.copy(own.checkpoint(1, index, 1), own.checkpoint(0, index, 1))
    assert not torch.equal(first.scores, scored(1, digits_test).scores)


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
