"""What is shown while trials end and others take their place."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from rich.console import Console

from sweeps.engine.live import monitor as live
from sweeps.engine.live.display import Display
from sweeps.engine.live.monitor import Monitor, StageListener
from sweeps.engine.search.ladder_search import LadderSearch
from tests.sweep_parts import Sweep, record_of, small_plan


def test_an_ended_trial_is_shown_once_its_slot_is_in_use_again(monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(small_plan(configs=8))
    search = LadderSearch("search", [record], limit=1, slots=2)
    sweep, display = Sweep(record, search=search), Display(Console(file=StringIO(), width=160))
    monitor = Monitor(search, MagicMock(), display, StageListener(), report_timeout=5)
    display.begin("search", 100, 0)

    def called(hook: Any, trial: SimpleNamespace) -> None:
        hook(0, [], SimpleNamespace(trial_id=trial.trial_id, config=trial.config))

    def lines() -> list[str]:
        assert isinstance(display.console.file, StringIO)
        return display.console.file.getvalue().splitlines()

    first, second = sweep.start(), sweep.start()
    assert first
    assert second
    for trial in (first, second):
        called(monitor.on_trial_start, trial)
        display.add_epochs(trial.trial_id, 1, 500.0)
    assert len(lines()) == 1
    called(monitor.on_trial_complete, first)
    sweep.train(first)
    monitor.on_step_begin(0, [])
    assert len(lines()) == 1, "its slot has nothing yet"
    third = sweep.start()
    assert third
    called(monitor.on_trial_start, third)
    monkeypatch.setattr(live, "REFILLED", 0.0)
    monitor.on_step_begin(0, [])
    monitor.on_step_begin(0, [])
    [_, line] = lines()
    assert "2 training" in line
    assert "1000 images/s" in line, "the third is taken to be as fast as the second"
    called(monitor.on_trial_complete, second)
    monitor.show_ended()
    monitor.show_ended()
    assert len(lines()) == 3, "at the end of a stage nothing is waited for"
