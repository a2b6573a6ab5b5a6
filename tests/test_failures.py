"""Why a trial failed, in one line: from the error files that Ray leaves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adcore.config import TrainConfig
from sweeps.engine.search.failures import (
    DISK,
    MEMORY,
    NOT_REACHED,
    NOT_SHARED,
    READ_ONLY,
    describe_failure,
    storage_trouble,
)
from sweeps.engine.search.trial import Part, trial_config

#: The end of an error file, and what the line says beside it.
LOGS = {
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has ...": MEMORY,
    "RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried": MEMORY,
    "MemoryError": MEMORY,
    "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.": MEMORY,
    "The process is killed by SIGKILL by OOM killer due to high memory usage.": f"perhaps {MEMORY}",
    "adcore.errors.UserError: a.ckpt: cannot be written (No space left on device)": DISK,
    "adcore.errors.UserError: a.ckpt: cannot be written (Read-only file system)": READ_ONLY,
    "adcore.errors.UserError: node gpu1 does not see what the driver writes to /runs/n": NOT_SHARED,
    "sweeps.engine.storage.errors.StorageError: s3://b/n/x.ckpt: no access to the store (AWS Error ...)": NOT_REACHED,
    "ValueError: expected two equal shapes": None,
}


def failed(folder: Path, log: str | None) -> Any:
    file = folder / "error.txt"
    if log is not None:
        file.write_text(f"Traceback (most recent call last):\n  File x\n{log}\n")
    config = trial_config([Part(4, TrainConfig(classes=(0, 6)))], until=1)
    return SimpleNamespace(config=config, error_file=str(file) if log is not None else None)


@pytest.mark.parametrize("log", LOGS)
def test_the_line_names_trial_reason_log_and_what_to_do(tmp_path: Path, log: str) -> None:
    line = describe_failure(failed(tmp_path, log), "search")
    advice = f"; {LOGS[log]}" if LOGS[log] else ""
    assert line == f"search configuration 4, classes 0,6: {log}{advice} (log: {tmp_path / 'error.txt'})"
    assert "\n" not in line


def test_a_worker_that_left_no_word_and_one_that_was_silent(tmp_path: Path) -> None:
    assert "the worker process died (log: Ray session folder)" in describe_failure(failed(tmp_path, None), "search")
    silent = describe_failure(failed(tmp_path, "The actor died"), "confirm", silent=True)
    assert "confirm configuration 4, classes 0,6: no report within --report-timeout" in silent


def test_a_failure_that_was_forgiven_before_is_not_the_reason_of_the_last_one(tmp_path: Path) -> None:
    forgiven, last = (list(LOGS)[place] for place in (7, -1))
    assert LOGS[forgiven] is NOT_SHARED
    trial = failed(tmp_path, f"Failure # 1 (occurred at noon)\n{forgiven}\nFailure # 2 (occurred at one)\n{last}")
    assert storage_trouble(trial) is None
    assert describe_failure(trial, "search") == (
        f"search configuration 4, classes 0,6: {last} (log: {tmp_path / 'error.txt'})"
    )


@pytest.mark.parametrize("log", LOGS)
def test_a_storage_that_cannot_be_written_is_no_fault_of_the_trial(tmp_path: Path, log: str) -> None:
    trouble = storage_trouble(failed(tmp_path, log))
    said = log.removeprefix("adcore.errors.UserError: ").removeprefix("sweeps.engine.storage.errors.StorageError: ")
    assert str(trouble) == (said if LOGS[log] in (DISK, READ_ONLY, NOT_SHARED, NOT_REACHED) else "None")
