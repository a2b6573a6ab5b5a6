"""`sweep` and `open_sweep` in a program, and in the notebook of the documentation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.sweep_process import HANGS, ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
TWICE = """
import json, signal, sys
from sweeps import open_sweep, sweep
from sweeps.gan_loss_weights import SPACE

signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
before = [signal.getsignal(each) for each in signals]
own = {"scale": "smoke", "normal_class": (0,), "configs": 1, "storage": "sweeps of mine", "tracking_uri": "sqlite:///m.db"}
found = [sweep(SPACE, name="first", **own), sweep(SPACE, name="second", **own)]
assert [signal.getsignal(each) for each in signals] == before
assert found[0].winner == found[1].winner == open_sweep("first", storage="sweeps of mine").winner
assert found[0].test == found[1].test
print(json.dumps([str(each.home) for each in found]))
"""


@pytest.fixture
def environment() -> dict[str, str]:
    """This copy of the code, in whatever folder the program runs."""
    own = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "ADCORE_DATA")}
    return {**own, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def test_two_sweeps_in_one_process_give_the_same_and_leave_its_signal_handlers(
    environment: dict[str, str], tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TWICE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=2 * HANGS
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    homes = json.loads(ran.stdout.splitlines()[-1])
    assert homes == [str(tmp_path / "sweeps of mine" / name) for name in ("first", "second")]
    assert "sweep(space, resume='first'" in ran.stdout
    assert "search: " in ran.stdout, "no progress was printed"


def test_the_notebook_of_the_documentation_runs(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells), "it is kept without outputs"
    patient = dict.fromkeys(("timeout", "startup_timeout", "iopub_timeout"), int(HANGS))
    NotebookClient(notebook, **patient, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = json.dumps([output for cell in cells for output in cell.outputs])
    assert "record in" in shown, "what was printed first was cleared"
    assert "search: " in shown, "no progress was shown"
    assert "\\u001b" not in shown, "it was printed as for a terminal"
    assert "within noise" in shown or "beyond noise" in shown or "no difference to judge" in shown
    assert "text/html" in shown, "no table was shown"
    assert (tmp_path / "runs" / "from-a-notebook" / "results.json").exists()
