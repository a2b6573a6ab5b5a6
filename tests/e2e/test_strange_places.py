"""A sweep where people start it: in a folder with a strange name and other code in it, under a launcher, on one CPU."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from sweeps.engine.machine.locations import database_uri
from sweeps.engine.record.study import open_study
from tests.sweep_process import HANGS, ROOT, SCRIPT, MlflowRuns

FLAGS = ["--scale", "smoke", "--configs", "1", "--normal-class", "3", "--epochs", "1"]
#: What a sweep of these flags gives on any machine, to the digits that a CPU's own arithmetic leaves alone.
SEARCHED, TESTED, RUNS, METRICS, FILES = 0.519662, 0.436183, 5, 100, 11
ENVIRONMENT = {
    "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "sweep", "SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1",
    "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "node1", "SLURM_CPUS_PER_TASK": "1",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "true", "MLFLOW_EXPERIMENT_NAME": "mine",
}  # fmt: skip


def _run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    own |= {"OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, str(ROOT / "sweeps" / f"{SCRIPT}.py"), *words]
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=HANGS, check=False)


def _files(folder: Path) -> list[Path]:
    """What MLflow has of the sweeps, without the registered models, which hold a copy of the code."""
    files = (path for path in (folder / "mlartifacts").rglob("*") if path.is_file())
    return [path for path in files if not any(part.startswith("model-") for part in path.parts)]


def _assert_as_everywhere(folder: Path, name: str, *, sweeps: int) -> None:
    """The sweep's figures in record and MLflow, and what is in its folder."""
    study = open_study(folder / "runs" / name / "study.db", create=False)
    assert round(study.trials[0].value or 0, 6) == SEARCHED
    runs = MlflowRuns(database_uri(folder / "mlflow.db"), sweep_id=study.user_attrs["sweep_id"])
    runs.assert_whole()
    assert {run.info.status for run in runs.runs} == {"FINISHED"}
    assert len(runs.runs) == RUNS
    assert sum(len(run.data.metrics) for run in runs.runs) == METRICS
    assert round(runs.by_key["sweep"].data.metrics["test_auroc_mean"], 6) == TESTED
    assert len(_files(folder)) == sweeps * FILES


def test_a_sweep_gives_the_same_in_strange_places_and_after_a_move(tmp_path: Path) -> None:
    folder = tmp_path / "w 100%25 #2 what?x=1 {a}"
    without = shutil.ignore_patterns("detectors", "__pycache__")
    shutil.copytree(ROOT / "adcore", folder / "adcore", ignore=without)  # another worktree, whose detectors are gone
    splits = folder / "adcore" / "protocols" / "splits.py"
    splits.write_text(splits.read_text().replace("VALIDATION_SHARE = 1 / 6", "VALIDATION_SHARE = 1 / 3"))
    own = {"adcore", "mlartifacts", "mlflow.db", "runs"}

    first = _run(folder, *FLAGS, "--name", "s1", **ENVIRONMENT)
    assert first.returncode == 0, f"{first.stdout}\n{first.stderr}"
    assert re.fullmatch(r"set, but not used: MLFLOW_EXPERIMENT_NAME \(.*\), MLFLOW_ENABLE_ASYNC.*\n", first.stderr)
    assert "1 at a time" in first.stdout
    assert {path.name for path in folder.iterdir()} == own
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]  # a client of MLflow makes another
    _assert_as_everywhere(folder, "s1", sweeps=1)

    command = next(line for line in first.stdout.splitlines() if line.startswith("resume:")).removeprefix("resume:")
    _, script, *words = shlex.split(command)
    assert Path(script) == ROOT / "sweeps" / f"{SCRIPT}.py"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = _run(elsewhere, *words)
    assert again.returncode == 0, f"{again.stdout}\n{again.stderr}"
    assert list(elsewhere.iterdir()) == []
    _assert_as_everywhere(folder, "s1", sweeps=1)

    now = folder.rename(tmp_path / "w1")
    second = _run(now, *FLAGS, "--name", "s2")
    assert (second.returncode, second.stderr) == (0, ""), second.stdout
    assert not folder.exists()
    _assert_as_everywhere(now, "s2", sweeps=2)
