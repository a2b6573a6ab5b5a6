"""A real sweep with a limit that suffices on any machine; how one is cut short is tested with a clock of its own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.sweep_process import Begin, MlflowRuns

#: Seconds.
LIMIT = 1800
ARGUMENTS = ["--scale", "smoke", "--normal-class", "0", "--configs", "2", "--epochs", "1", "--name", "t"]


def test_a_sweep_with_a_limit_tells_how_much_of_it_was_used(begin: Begin, tmp_path: Path) -> None:
    sweep = begin(tmp_path, *ARGUMENTS, "--time-limit", "30m")
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    found = json.loads((tmp_path / "runs" / "t" / "results.json").read_text())
    assert found["time"]["limit"] == LIMIT
    assert 0 < found["time"]["used"] < LIMIT
    assert found["winner"]["configuration"] in found["time"]["confirmed"]
    assert found["confirmed"][0]["confirm"]
    assert "of 30 min" in sweep.out
    assert "The time limit ended the search" not in sweep.out
    MlflowRuns(sweep.uri).assert_whole()
