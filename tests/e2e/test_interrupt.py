"""Ctrl-C, a closed terminal, an impatient second Ctrl-C, each resumed: nothing is lost or done twice."""

from __future__ import annotations

import shlex
from pathlib import Path

from optuna.trial import TrialState

from sweeps.engine.record.study import open_study
from tests.e2e.equal_outcome import SMALL, after_packs, ends_as_ever
from tests.e2e.kill_loop import KillLoop
from tests.sweep_process import ROOT, Begin, MlflowRuns, SweepProcess, poll


def test_a_sweep_that_is_told_to_stop_again_and_again_ends_as_one_that_was_not(
    loop: KillLoop, begin: Begin, tmp_path: Path
) -> None:
    first = begin(tmp_path, *SMALL)
    after_packs(first, 2)
    first.interrupt()
    assert first.wait() == 130, f"{first.out}\n{first.err}"
    _names_its_resume(first, tmp_path)
    interrupted = MlflowRuns(first.uri)
    steps = _is_interrupted(interrupted, tmp_path)

    second = begin(tmp_path, "--resume", "k")
    poll(lambda: "confirm:" in second.out or second.process.poll() is not None, "the confirmation")
    for _ in range(2):  # from the system, to all of the terminal's processes, and once more from the shell
        second.hang_up()
    assert second.wait() == 130, f"{second.out}\n{second.err}"
    _names_its_resume(second, tmp_path)
    assert {run.info.status for run in MlflowRuns(second.uri).runs} <= {"KILLED", "FINISHED"}
    third = begin(tmp_path, "--resume", "k")
    poll(lambda: "confirm:" in third.out or third.process.poll() is not None, "the confirmation")
    third.interrupt()
    third.interrupt()
    assert third.wait() == 130, f"{third.out}\n{third.err}"
    assert "Traceback" not in "".join(each.out + each.err for each in (first, second, third))

    last = begin(tmp_path, "--resume", "k")
    ends_as_ever(last, loop)
    runs = MlflowRuns(last.uri)
    assert {run.info.run_id for run in interrupted.runs} <= {run.info.run_id for run in runs.runs}
    for key, history in steps.items():
        assert runs.history(key, "val_auroc")[: len(history)] == history, "what was logged stays as it was"


def _names_its_resume(sweep: SweepProcess, folder: Path) -> None:
    command = next(line for line in sweep.out.splitlines() if "--resume" in line)
    places = ["--storage", str(folder / "runs"), "--tracking-uri", sweep.uri]
    assert shlex.split(command)[1:] == [str(ROOT / "sweeps" / "gan_loss_weights.py"), "--resume", "k", *places]


def _is_interrupted(runs: MlflowRuns, folder: Path) -> dict[str, list[tuple[int, float]]]:
    """MLflow and the record agree that it ended in mid-search; each class's values up to there."""
    known = open_study(folder / "runs" / "k" / "study.db", create=False).trials
    asked = [trial for trial in known if trial.state != TrialState.WAITING]  # those are named points, not begun yet
    assert sum(trial.state.is_finished() for trial in asked) < 5, "interrupted too late"
    assert {run.info.status for run in runs.runs} <= {"KILLED", "FINISHED"}
    assert runs.by_key["sweep"].data.tags["state"] == "interrupted"
    steps = {key: runs.history(key, "val_auroc") for key in runs.level("class")}
    assert any(steps.values())
    return steps
