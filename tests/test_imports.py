"""Large libraries are not imported before they are needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_sweep_trains_before_its_driver_has_loaded_what_only_its_end_needs() -> None:
    program = "import sys, sweeps.engine.driver, sweeps.engine.stages; print(*sys.modules)"
    root = Path(__file__).parents[1]
    loaded = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True).stdout.split()
    assert "sweeps.engine.stages" in loaded
    assert {"pytorch_lightning", "matplotlib", "mlflow"}.isdisjoint(loaded)
