"""A running sweep with a time limit that it does not need, watched from another process to its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.sweep_process import HANGS, ROOT, MlflowRuns, SweepProcess, poll

pytestmark = pytest.mark.xdist_group("watched")  # one sweep for all

#: Seconds.
LIMIT = 1800


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("watched")
    small = ["--scale", "smoke", "--normal-class", "0", "--configs", "2", "--max-concurrent", "1"]
    sweep = SweepProcess(folder, *small, "--name", "t", "--time-limit", "30m")
    storage = folder / "runs"
    command = [sys.executable, "-m", "sweeps.show", "t", "--json", "--watch", "0.2", "--storage", str(storage)]
    try:
        poll(lambda: (storage / "t" / ".lock").exists() or sweep.process.poll() is not None, "the sweep's lock")
        show = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
        assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
        results = json.loads((storage / "t" / "results.json").read_text())
        yield SimpleNamespace(sweep=sweep, show=show, results=results)
    finally:
        sweep.end()


def test_it_is_shown_from_its_search_to_its_end_and_is_not_disturbed(watched: SimpleNamespace) -> None:
    assert (watched.show.returncode, watched.show.stderr) == (0, "")
    looks = [json.loads(line) for line in watched.show.stdout.splitlines()]
    assert not any(look["error"] for look in looks)
    assert [look["state"] for look in looks] == ["running"] * (len(looks) - 1) + ["complete"]
    stages = list(dict.fromkeys(look["stage"] for look in looks))
    assert stages == ["starting", "search", "confirm", "final", None]
    tried = [look["counts"]["tried"] for look in looks if look["counts"]]
    assert tried == sorted(tried)
    assert tried[-1] == looks[-1]["counts"]["planned"] == 2
    assert any(look["seconds_left"] for look in looks), "the time left was never known"
    results = watched.results
    assert looks[-1]["results"] == {name: results[name] for name in ("winner", "confirm", "test", "sentence")}
    [winner] = [each for each in looks[-1]["confirmed"] if each["configuration"] == results["winner"]["configuration"]]
    assert winner["test"] == [results["test"][""]["value"]]


def test_it_tells_how_much_of_its_limit_was_used(watched: SimpleNamespace) -> None:
    found = watched.results
    assert found["time"]["limit"] == LIMIT
    assert 0 < found["time"]["used"] < LIMIT
    assert found["winner"]["configuration"] in found["time"]["confirmed"]
    assert found["confirmed"][0]["confirm"]
    assert "of 30 min" in watched.sweep.out
    assert "The time limit ended the search" not in watched.sweep.out
    MlflowRuns(watched.sweep.uri).assert_whole()
