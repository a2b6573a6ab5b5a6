"""A real sweep that would take many times its limit: it ends in time, with a confirmed winner."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.sweep_process import Begin, MlflowRuns

ARGUMENTS = ["--scale", "smoke", "--normal-class", "0,6", "--epochs", "8", "--name", "t"]
#: Seconds. LATE: for Python's start, the end of Ray, and other tests that begin on the same machine meanwhile.
LIMIT, LATE = 90, 30


def test_a_sweep_ends_within_its_limit_with_a_confirmed_winner(begin: Begin, tmp_path: Path) -> None:
    started = time.monotonic()
    sweep = begin(tmp_path, *ARGUMENTS, "--configs", "900", "--time-limit", f"{LIMIT}s")
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert time.monotonic() - started <= LIMIT + LATE
    found = json.loads((tmp_path / "runs" / "t" / "results.json").read_text())
    assert found["time"]["limit"] == LIMIT
    assert 0 < found["time"]["used"] <= LIMIT + LATE
    assert found["winner"]["configuration"] in found["time"]["confirmed"]
    assert found["confirmed"][0]["confirm"]
    assert found["test"][""]["value"] > 0.5
    assert 1 <= found["states"]["complete"] <= sum(found["states"].values()) < 900
    assert f"of {LIMIT} s" in sweep.out
    assert "The time limit ended the search" in sweep.out
    MlflowRuns(sweep.uri).assert_whole()
