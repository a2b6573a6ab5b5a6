"""Every benchmark runs: what it measures is its own matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep_process import HANGS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
#: Flags that each needs beside --quick, with FILE for a file that is not there yet.
FLAGS = {"record_curves": ["mnist", "--out", "FILE"]}
#: Modules of other benchmarks, those that have an environment of their own, and what writes the page of results.
OTHERS = {"contestants", "plain_ray", "results", "peers", "peers_smac", "peers_syne_tune", "peers_table"}
#: Those that take minutes even so, and those that nothing runs but somebody's hand.
LONG = {
    "few_anomalies", "gpu", "members", "pack_speeds", "peer_ray", "record_curves", "scale", "supervised_control",
    "sweep_overhead", "throughput", "wide_gan",
}  # fmt: skip
NAMES = sorted({path.stem for path in BENCHMARKS.glob("*.py")} - OTHERS)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in NAMES])
def test_a_quick_run_ends_well(name: str, tmp_path: Path) -> None:
    flags = [str(tmp_path / "file") if flag == "FILE" else flag for flag in FLAGS.get(name, [])]
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *flags, "--quick"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=2 * HANGS)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    assert "Traceback" not in ran.stderr
