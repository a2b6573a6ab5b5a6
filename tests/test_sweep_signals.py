"""Signals to a real sweep, from the moment that it begins: 130, and nothing is left that is in nobody's way."""

from __future__ import annotations

import signal
from pathlib import Path

from sweep_process import MlflowRuns, SweepProcess, poll

FLAGS = ("--scale", "smoke", "--normal-class", "6", "--configs", "1", "--name", "s")


def test_sigusr1_as_slurm_sends_it_interrupts_a_search(tmp_path: Path) -> None:
    sweep = SweepProcess(tmp_path, *FLAGS, "--epochs", "500")
    try:
        poll(sweep.worker, "a worker")
        sweep.process.send_signal(signal.SIGUSR1)
        assert sweep.wait() == 130, f"{sweep.out}\n{sweep.err}"
        assert sweep.err == ""
        assert "--resume s" in sweep.out
        assert {run.info.status for run in MlflowRuns(sweep.uri).runs} <= {"KILLED"}
    finally:
        sweep.end()
