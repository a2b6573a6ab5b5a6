"""The sweep at the smoke scale that several files test: three classes of digits on a local Ray, run once."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optuna import Study

from sweeps.engine.record.study import open_study
from tests.sweep_process import MlflowRuns, SweepProcess

CLASSES, CONFIGS, EPOCHS = (0, 3, 6), 4, 2


@dataclass(frozen=True)
class SmokeSweep:
    """What it has left. home: its folder. rows: of results.csv."""

    home: Path
    out: str
    err: str
    mlflow: MlflowRuns
    study: Study
    rows: list[dict[str, str]]

    @property
    def winner(self) -> int:
        """The winner's number, as it was printed."""
        [number] = re.findall(r"winner: configuration (\d+)", self.out)
        return int(number)


@contextmanager
def smoke_sweep(folder: Path) -> Iterator[SmokeSweep]:
    """Run it in a folder."""
    arguments = ["--scale", "smoke", "--normal-class", "6,0,3", "--configs", str(CONFIGS), "--epochs", str(EPOCHS)]
    notebook = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # is not installed: no trial may import it
    sweep = SweepProcess(folder, *arguments, "--name", "t", env=notebook)
    try:
        code = sweep.wait()
        assert code == 0, f"{sweep.out}\n{sweep.err}"
        home = folder / "runs" / "t"
        study = open_study(home / "study.db", create=False)
        with (home / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
        yield SmokeSweep(home, sweep.out, sweep.err, MlflowRuns(sweep.uri), study, rows)
    finally:
        sweep.end()
