"""A finished sweep that is extended, once as it is and once killed in the middle: both end alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.equal_outcome import after_packs
from tests.e2e.sweep_outcome import outcome
from tests.sweep_process import Begin, MlflowRuns, packs

FIRST = ["--scale", "smoke", "--normal-class", "0,6", "--epochs", "2", "--max-concurrent", "1", "--name", "k"]
MORE = ["--extend", "k", "--configs", "4", "--max-concurrent", "1"]


@pytest.mark.long
def test_a_sweep_that_is_extended_and_killed_ends_as_one_that_is_not_killed(begin: Begin, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    first = begin(whole, *FIRST, "--configs", "2")
    assert first.wait() == 0, f"{first.out}\n{first.err}"
    before, runs = results(whole), {run.info.run_id for run in MlflowRuns(first.uri).runs}
    shutil.copytree(whole, killed)

    more = begin(whole, *MORE)
    assert more.wait() == 0, f"{more.out}\n{more.err}"
    after, mlflow = results(whole), MlflowRuns(more.uri)
    assert "4 configurations (extended from 2)" in more.out
    assert (after["plan"]["configs"], after["extended_from"]) == (4, [2])
    assert {key for key in mlflow.by_key if key.startswith("search/") and key.count("/") == 2} == {
        f"search/{number}/0" for number in range(4)
    }
    assert runs <= {run.info.run_id for run in mlflow.runs}, "in the same runs"
    changed = numbers(after) != numbers(before)
    assert len(after["test_openings"]) == 1 + changed
    assert after["test_openings"][:1] == before["test_openings"]
    assert ("it is opened again for those confirmed now" in more.out) == changed
    assert ("The test part was opened 2 times" in more.out) == changed
    again = {each["configuration"]: each["confirm"] for each in after["confirmed"]}
    kept = {each["configuration"]: each["confirm"] for each in before["confirmed"] if each["configuration"] in again}
    assert kept.items() <= again.items(), "what was confirmed is not trained again"

    cut = begin(killed, *MORE)
    after_packs(cut, packs(whole / "runs" / "k") - 1)
    cut.process.kill()
    cut.process.wait()
    cut.end()
    last = begin(killed, "--resume", "k")
    assert last.wait() == 0, f"{last.out}\n{last.err}"
    assert outcome(killed / "runs" / "k", last.uri) == outcome(whole / "runs" / "k", more.uri)


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "runs" / "k" / "results.json").read_text())


def numbers(found: dict[str, Any]) -> set[int]:
    return {each["configuration"] for each in found["confirmed"]}
