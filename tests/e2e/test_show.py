"""A running sweep, watched from another process to its end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.sweep_process import HANGS, ROOT, Begin, poll


def test_a_sweep_is_shown_from_its_search_to_its_end_and_is_not_disturbed(begin: Begin, tmp_path: Path) -> None:
    small = ["--scale", "smoke", "--normal-class", "0", "--configs", "2", "--max-concurrent", "1"]
    sweep = begin(tmp_path, *small, "--name", "watched")
    storage = tmp_path / "runs"
    poll(lambda: (storage / "watched" / ".lock").exists() or sweep.process.poll() is not None, "the sweep's lock")
    command = [sys.executable, "-m", "sweeps.show", "watched", "--json", "--watch", "0.2", "--storage", str(storage)]
    watched = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert (watched.returncode, watched.stderr) == (0, "")
    looks = [json.loads(line) for line in watched.stdout.splitlines()]
    assert not any(look["error"] for look in looks)
    assert [look["state"] for look in looks] == ["running"] * (len(looks) - 1) + ["complete"]
    stages = list(dict.fromkeys(look["stage"] for look in looks))
    assert stages == ["starting", "search", "confirm", "final", None]
    tried = [look["counts"]["tried"] for look in looks if look["counts"]]
    assert tried == sorted(tried)
    assert tried[-1] == looks[-1]["counts"]["planned"] == 2
    assert any(look["seconds_left"] for look in looks), "the time left was never known"
    results = json.loads((storage / "watched" / "results.json").read_text())
    assert looks[-1]["results"] == {name: results[name] for name in ("winner", "confirm", "test", "sentence")}
    [winner] = [each for each in looks[-1]["confirmed"] if each["configuration"] == results["winner"]["configuration"]]
    assert winner["test"] == [results["test"][""]["value"]]
