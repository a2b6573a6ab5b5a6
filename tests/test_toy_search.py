"""The search that trains nothing, which benchmarks/scale.py measures, is a whole one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # as when scale.py is run

from toy.curves import train_nothing
from toy.engine import engine
from toy.loop import Loop

from sweeps.engine.planning.settings import SweepSettings


def test_it_comes_to_its_end_and_tells_mlflow(tmp_path: Path, database: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    file, loop = tmp_path / "mlflow.db", Loop()
    file.write_bytes(database)
    monkeypatch.setattr("sweeps.engine.stage_runner.run_tune", loop.run_tune)
    with engine(file, SweepSettings(scale="laptop", configs=3), slots=2) as made:
        made.run(train_nothing)
        record = made.stages.record
        assert {each.state for each in record.configurations.values()} == {"complete"}
        assert record.ladder.spent <= record.plan.budget
    assert len(record.configurations) == 3
    assert loop.reports >= len(loop.trials) >= 3
    assert made.calls.total()
