"""A real sweep that would not end within hours is cut by its time limit, and answered."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.sweep_process import Begin, MlflowRuns

SMALL = ["--scale", "smoke", "--normal-class", "0", "--epochs", "1"]
#: Limits in seconds, of which the first that this machine can hold is taken: a machine may be busy with other things.
LIMITS = (60, 120, 240, 600)
#: More than any machine trains in the longest of them.
CONFIGURATIONS = 1_000_000


@pytest.mark.long
def test_a_sweep_of_many_hours_ends_at_its_limit_with_a_confirmed_answer(begin: Begin, tmp_path: Path) -> None:
    begun, given = time.monotonic(), [*SMALL, "--configs", str(CONFIGURATIONS), "--name", "t"]
    for limit in LIMITS:
        sweep = begin(tmp_path, *given, "--time-limit", f"{limit}s")
        code, given = sweep.wait(), ["--resume", "t"]
        if code == 0:
            break
        assert "the time limit is too short" in sweep.err, f"{sweep.out}\n{sweep.err}"
    assert code == 0, f"{sweep.out}\n{sweep.err}"
    assert time.monotonic() - begun < 10 * sum(LIMITS), "the limit was not planned for"
    found = json.loads((tmp_path / "runs" / "t" / "results.json").read_text())
    assert found["time"]["limit"] == limit
    assert 0 < sum(found["states"].values()) < CONFIGURATIONS
    assert found["states"]["complete"] >= 1
    assert found["confirmed"][0]["confirm"]
    assert found["winner"]["configuration"] in found["time"]["confirmed"]
    assert 0 <= found["test"][""]["value"] <= 1
    assert "The time limit ended the search" in sweep.out
    MlflowRuns(sweep.uri).assert_whole()
