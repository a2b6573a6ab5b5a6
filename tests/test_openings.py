"""An opening of the test part: the winner's figures and all scores are of the same one, which a resume continues."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adcore.datasets import ImageDataset
from adcore.evaluation.test_scores import (
    TestScores as Scores,  # under its own name pytest would take it for a class of tests
)
from sweeps.engine import stages as stages_module
from sweeps.engine.machine.resources import THIS_PROCESS
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results import model_scores
from sweeps.engine.stages import Stages
from tests.final_parts import Opened, confirmed_of, tiny_plan, trained_home
from tests.sweep_parts import record_of


@pytest.fixture
def home(tmp_path: Path, digits_train: ImageDataset) -> SweepHome:
    return trained_home(tmp_path, digits_train)


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
