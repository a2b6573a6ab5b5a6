"""Ctrl-C in the middle of a search, and --resume: nothing is lost and nothing is done twice."""

from __future__ import annotations

import csv
import math
import shlex
from pathlib import Path

from optuna.trial import TrialState
from sweep_process import Begin, MlflowRuns, poll, rungs

from sweeps.engine.record import open_study

CONFIGS, EPOCHS = 4, 6
ARGUMENTS = ["--scale", "smoke", "--normal-class", "0,6", "--configs", str(CONFIGS), "--epochs", str(EPOCHS)]


def test_an_interrupted_search_goes_on_without_loss_or_repetition(begin: Begin, tmp_path: Path) -> None:
    study_file = tmp_path / "runs" / "i" / "study.db"
    sweep = begin(tmp_path, *ARGUMENTS, "--name", "i")
    poll(lambda: sweep.process.poll() is not None or rungs(study_file.parent) >= 2, 120, "values at two rungs")
    sweep.interrupt()
    assert sweep.wait(60) == 130, f"{sweep.out}\n{sweep.err}"
    assert "Traceback" not in sweep.out + sweep.err
    command = next(line for line in sweep.out.splitlines() if "--resume" in line).split()
    places = ["--storage", str(tmp_path / "runs"), "--tracking-uri", sweep.uri]
    expected = ["python", "sweeps/gan_loss_weights.py", "--resume", "i", *places]
    assert shlex.split(" ".join(command)) == expected

    known = open_study(study_file, create=False).trials
    before = [trial for trial in known if trial.state != TrialState.WAITING]  # those are named points, not begun yet
    assert sum(trial.state.is_finished() for trial in before) < CONFIGS, "interrupted too late"
    interrupted = MlflowRuns(sweep.uri)
    assert {run.info.status for run in interrupted.runs} <= {"KILLED", "FINISHED"}
    assert interrupted.by_key["sweep"].data.tags["state"] == "interrupted"
    steps = {key: interrupted.history(key, "val_auroc") for key in interrupted.level("class")}
    assert any(steps.values())

    resumed = begin(tmp_path, "--resume", "i")
    assert resumed.wait(200) == 0, f"{resumed.out}\n{resumed.err}"
    after = open_study(study_file, create=False).trials
    assert len(after) == CONFIGS
    assert all(trial.state.is_finished() for trial in after)
    for old, new in zip(before, after, strict=False):
        assert new.params == old.params
        assert old.user_attrs.items() <= new.user_attrs.items(), "what was decided stays decided"
    with (study_file.parent / "results.csv").open() as file:
        assert sorted(int(row["configuration"]) for row in csv.DictReader(file)) == list(range(CONFIGS))

    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    assert {run.info.run_id for run in interrupted.runs} <= {run.info.run_id for run in runs.runs}
    assert set(runs.level("config", "search")) == {f"search/{number}/0" for number in range(CONFIGS)}
    for key, history in steps.items():
        assert runs.history(key, "val_auroc")[: len(history)] == history, "what was logged stays as it was"
    for trial in after:
        key, state = f"search/{trial.number}/0", trial.user_attrs["state"]
        means = runs.history(key, "val_auroc_mean")
        assert runs.by_key[key].data.tags["state"] == state
        assert [step for step, _ in means] == list(range(1, len(means) + 1)), "no epoch is missing"
        assert (len(means) == EPOCHS) == (state == "complete")
        assert all(math.isfinite(value) for _, value in means)
        if state == "complete":
            assert means[-1][1] == trial.value
