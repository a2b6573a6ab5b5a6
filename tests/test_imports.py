"""Large libraries are not imported before they are needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_sweep_trains_before_its_driver_has_loaded_what_only_its_end_needs() -> None:
    loaded = loaded_by("sweeps.engine.driver, sweeps.engine.stages")
    assert "sweeps.engine.stages" in loaded
    assert {"pytorch_lightning", "matplotlib", "mlflow"}.isdisjoint(loaded)


def test_lightning_is_not_loaded_where_models_are_scored_and_nothing_trains() -> None:
    modules = "adcore.predict.models, adcore.evaluation.assessment_figures, sweeps.engine.results.winner_figures"
    loaded = loaded_by(modules)
    assert "adcore.train.pack" in loaded
    assert "pytorch_lightning" not in loaded


def loaded_by(modules: str) -> list[str]:
    """The modules that a new Python has loaded after importing these."""
    program, root = f"import sys, {modules}; print(*sys.modules)", Path(__file__).parents[1]
    return subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True).stdout.split()
