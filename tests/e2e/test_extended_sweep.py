"""The sweep of docs/extending.md: the page's own loss on the page's own data set; and one of its detector."""

from __future__ import annotations

from pathlib import Path

from tests.extended_copy import PAGE, commands, extended_copy, run
from tests.sweep_process import MlflowRuns

TUNE = ["sweeps/tune.py", "--detector", "rotations"]
assert " ".join(TUNE) in PAGE
SMALL = ["--normal-class", "0,2", "--epochs", "1", "--max-concurrent", "1"]


def test_the_example_sweeps_its_own_loss_on_its_own_data(tmp_path: Path) -> None:
    copy = extended_copy(tmp_path)
    run(copy, *commands("data set")[0])
    _, sweep = commands("sweep")
    out = run(copy, *sweep, "--name", "own", *SMALL)
    assert "winner: configuration" in out
    runs = MlflowRuns(f"sqlite:///{copy / 'mlflow.db'}", experiment="gradient_difference")
    runs.assert_whole()
    assert len(runs.level("config", "search")) == 2
    for key in runs.level("class", "search"):
        assert 0 < runs.history(key, "loss_gradient_difference")[0][1] < 4
        assert float(runs.by_key[key].data.params["weight_gradient_difference"]) >= 0.01


def test_the_example_detector_is_tuned_over_its_own_ranges(tmp_path: Path) -> None:
    copy = extended_copy(tmp_path)
    out = run(copy, *TUNE, "--scale", "smoke", "--configs", "2", *SMALL)
    assert "--detector rotations" in out
    assert "weight_" not in out
