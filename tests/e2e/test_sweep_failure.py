"""A real sweep with a configuration that fails at every try."""

from __future__ import annotations

import re
from pathlib import Path

from sweeps.engine.record.home import SweepHome
from tests.sweep_process import MlflowRuns, SweepProcess, poll


def test_a_configuration_that_fails_ends_the_sweep_with_1_and_a_summary(tmp_path: Path) -> None:
    home = tmp_path / "runs" / "f"
    sweep = SweepProcess(
        tmp_path, "--scale", "smoke", "--normal-class", "6", "--configs", "2", "--epochs", "1", "--max-concurrent", "1",
        "--name", "f",
    )  # fmt: skip
    try:
        poll((home / "study.db").exists, "the record")  # Ray, and with it the first trial, starts seconds later
        broken = SweepHome(home).checkpoint(1, 6, 0)
        broken.parent.mkdir(parents=True, exist_ok=True)
        broken.write_bytes(b"no checkpoint")  # the trial finds it, cannot read it, and fails at every retry
        assert sweep.wait() == 1, f"{sweep.out}\n{sweep.err}"
        assert "1 of 2 configurations failed" in sweep.err
        assert re.search(r"search configuration 1, classes 6: .*class-6\.ckpt", sweep.err)
        assert "winner: configuration 0" in sweep.out, "what is whole is reported all the same"
        runs = MlflowRuns(sweep.uri)
        runs.assert_whole()
        state = {key: (run.data.tags["state"], run.info.status) for key, run in runs.by_key.items()}
        assert state["search/0/0"] == ("complete", "FINISHED")
        assert state["search/1/0"] == state["search/1/0/6"] == state["sweep"] == ("failed", "FAILED")
    finally:
        sweep.end()
