"""A storage that is full: a line that says so, nothing lost, and the rest after there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweep_process import Begin, MlflowRuns

ARGUMENTS = ["--scale", "smoke", "--normal-class", "0,6", "--configs", "2", "--epochs", "1"]


def _mount(folder: Path, options: str) -> None:
    found = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if found.returncode:
        pytest.fail(f"this test mounts a tmpfs, which takes root: {found.stderr}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 700 kB: the record fits, a checkpoint does not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount(folder, "size=700k")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_storage_is_said_in_a_line_and_the_sweep_goes_on_when_there_is_room(
    disk: Path, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *ARGUMENTS, "--name", "f", storage=disk)
    assert sweep.wait() == 1, f"{sweep.out}\n{sweep.err}"
    [line] = sweep.err.splitlines()  # whatever trials side by side met
    assert line.startswith(f"the sweep is incomplete: its files cannot be written: {disk}")
    assert "--resume f" in sweep.out

    _mount(disk, "remount,size=200m")
    resumed = begin(tmp_path, "--resume", "f", storage=disk)
    assert resumed.wait() == 0, f"{resumed.out}\n{resumed.err}"
    runs = MlflowRuns(resumed.uri)
    runs.assert_whole()
    assert {run.data.tags["state"] for run in runs.level("config").values()} == {"complete"}
    assert len(runs.level("config", "search")) == 2, "a full disk is no fault of a configuration"
