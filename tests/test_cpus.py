"""CPUs that are allotted, not installed: affinity, cgroup quotas of either version, and SLURM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adcore.errors import UserError
from adcore.system.cpus import allotted_cpus
from sweeps.engine import plan_text
from sweeps.engine.machine import cluster
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE

MANY = 64


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with many CPUs, all of which this process may use, and no SLURM."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY)))
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)


def _machine(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """proc/ and sys/ of a machine: the lines of proc/self/cgroup, and files below sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


CGROUPS = {
    "none": ("", {}, MANY),
    "version 2, in a container": ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
    "version 2, without a limit": ("0::/user.slice\n", {"user.slice/cpu.max": "max 100000\n"}, MANY),
    "version 2, of a group above": (
        "0::/job_7/step_0\n", {"job_7/cpu.max": "300000 100000\n", "job_7/step_0/cpu.max": "max 100000\n"}, 3,
    ),
    "version 2, the least of several": (
        "0::/job_7/step_0\n", {"job_7/cpu.max": "300000 100000\n", "job_7/step_0/cpu.max": "200000 100000\n"}, 2,
    ),
    "version 1": (
        "2:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n",
        {"cpu,cpuacct/job/cpu.cfs_quota_us": "500000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"}, 5,
    ),
    "version 1, in a container": (
        "4:cpu:/docker/0123\n", {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2,
    ),
    "version 1, without a limit": (
        "4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, MANY,
    ),
    "less than one": ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
}  # fmt: skip


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", CGROUPS)
def test_a_cgroups_quota_counts(name: str, tmp_path: Path) -> None:
    lines, files, expected = CGROUPS[name]
    assert allotted_cpus(_machine(tmp_path, lines, files)) == expected


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("value", "expected"), [("4", 4), ("128", MANY), ("", MANY), ("four", MANY), ("0", 1)])
def test_what_slurm_allots_to_a_task_counts(
    value: str, expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", value)
    assert allotted_cpus(tmp_path) == expected


def test_the_affinity_of_the_process_counts() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # as taskset does
from adcore.system.cpus import allotted_cpus
print(allotted_cpus())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert ran.stdout == "1\n"


def test_the_plan_and_what_a_trial_may_take_go_by_what_is_allotted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # no speed is known
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    settings = SweepSettings(scale="laptop")
    assert "min, 1 at a time" in plan_text.plan_in_words(make_plan("gan_loss_weights", settings, SPACE), settings)
    with pytest.raises(UserError) as refused:
        cluster.check_address(SweepSettings(cpus_per_trial=2))
    assert "--cpus-per-trial 2" in str(refused.value)
    assert os.cpu_count() == 1 or "of which this process may use 1" in str(refused.value)
