"""Signals to a real sweep, from the moment that it begins: 130, and nothing is left that is in nobody's way."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.sweep_process import MlflowRuns, SweepProcess, poll

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


def _works(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_listened_to(sweep: SweepProcess) -> bool:
    """Whether the sweep has a handler of SIGTERM."""
    lines = Path(f"/proc/{sweep.process.pid}/status").read_text().splitlines()
    [caught] = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def _imports_ray(sweep: SweepProcess) -> bool:
    return "_raylet" in Path(f"/proc/{sweep.process.pid}/maps").read_text()


def _starts_ray(sweep: SweepProcess) -> bool:
    """Ray's own handler would exit with 15."""
    return any(each.name() == "gcs_server" for each in sweep.tree)


@pytest.mark.parametrize("moment", [_is_listened_to, _imports_ray, _starts_ray])
def test_sigterm_before_there_is_a_record_leaves_nothing_behind(
    moment: Callable[[SweepProcess], bool], tmp_path: Path
) -> None:
    sweep = SweepProcess(tmp_path, *FLAGS, "--epochs", "1")
    home = tmp_path / "runs" / "s"
    try:
        poll(lambda: moment(sweep), moment.__name__)
        sweep.process.terminate()
        begun = sweep.tree
        assert not (home / "study.db").exists(), "it came too late to tell"
        assert sweep.wait() == 130, f"{sweep.out}\n{sweep.err}"
        assert (sweep.out, sweep.err) == ("interrupted while it started\n", "")
        assert not (tmp_path / "runs").exists()
        poll(lambda: not any(map(_works, begun)), "the end of Ray's processes")
    finally:
        sweep.end()


def test_a_record_that_is_removed_in_mid_sweep_is_said_to_be_gone_and_its_runs_end(tmp_path: Path) -> None:
    sweep = SweepProcess(tmp_path, *FLAGS, "--epochs", "500")
    try:
        poll(sweep.worker, "a worker")
        poll(lambda: "1 training" in sweep.out, "the trial")
        poll(lambda: any(run.data.metrics for run in MlflowRuns(sweep.uri).runs), "MLflow has heard of it")
        home = tmp_path / "runs" / "s"  # in which the driver writes
        poll(lambda: shutil.rmtree(home, ignore_errors=True) or not home.exists(), "its removal")
        assert sweep.wait() == 1, f"{sweep.out}\n{sweep.err}"
        assert "its record is gone from" in sweep.err
        assert "--resume" not in sweep.out + sweep.err
        assert "Traceback" not in sweep.out + sweep.err
        assert {run.info.status for run in MlflowRuns(sweep.uri).runs} == {"KILLED"}
    finally:
        sweep.end()


def test_sigterm_right_after_the_record_was_made_prints_what_goes_on_with_it(tmp_path: Path) -> None:
    sweep = SweepProcess(tmp_path, *FLAGS, "--epochs", "1")
    try:
        poll((tmp_path / "runs" / "s" / "study.db").exists, "the record")
        sweep.process.terminate()
        assert sweep.wait() == 130, f"{sweep.out}\n{sweep.err}"
        assert "--resume s" in sweep.out
        assert sweep.err == ""
    finally:
        sweep.end()
