"""A training is one process, whatever launcher's variables are about, and it waits for its threads patiently."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adcore.datasets import ImageDataset
from adcore.train import TrainResult, train
from adcore.train.checkpoints import Checkpoints, read
from adcore.train.reports import history_of
from tests.detector_runs import config, ignore
from tests.sweep_process import HANGS
from tests.train_runs import comparable

#: What launchers of several processes tell each of them; this one is not the first.
LAUNCHERS = {
    "SLURM": {
        "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1",
        "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "node[1-2]",
    },
    "torchrun": {
        "TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0", "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1",
    },
    "LSF": {
        "LSB_JOBID": "7", "LSB_DJOB_RANKFILE": "/nowhere", "JSM_NAMESPACE_LOCAL_RANK": "1", "JSM_NAMESPACE_SIZE": "2",
        "JSM_NAMESPACE_RANK": "1",
    },
}  # fmt: skip


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_training_is_the_same_under_every_launcher(
    launcher: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    digits_train: ImageDataset,
    whole_run: Callable[[str], TrainResult],
) -> None:
    expected = whole_run("gan")
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "gan.ckpt"
    found = train(config("gan"), ignore, data=digits_train, checkpoints=Checkpoints(file))
    assert comparable(found.history) == comparable(expected.history)
    # saved, though it is not the first process
    assert comparable(history_of(read(file))) == comparable(expected.history)


@pytest.mark.parametrize("given", [{}, {"GOMP_SPINCOUNT": "7"}])
def test_threads_spin_for_a_moment_only_unless_the_user_says_otherwise(given: dict[str, str]) -> None:
    own = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT")}
    flags = ["--dataset", "digits", "--classes", "0", "--width", "2", "--epochs", "1", "--images-per-class", "20"]
    ran = subprocess.run(
        [sys.executable, "-m", "adcore.train", *flags],
        env={**own, "OMP_DISPLAY_ENV": "VERBOSE", **given},  # libgomp tells what it goes by
        capture_output=True, text=True, timeout=HANGS, check=True,
    )  # fmt: skip
    assert f"GOMP_SPINCOUNT = '{given.get('GOMP_SPINCOUNT', '10000')}'" in ran.stderr
