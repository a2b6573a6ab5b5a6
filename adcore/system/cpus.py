"""CPUs allotted to this process, possibly far fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

__all__ = ["PATIENT_THREADS", "allotted_cpus"]

#: Environment variables with which torch's threads spin only briefly while they wait for each other. By default they
#: spin for milliseconds, and training hardly progresses on cores with other work. Sleeping at once (OMP_WAIT_POLICY)
#: would halve the speed on idle cores. Set them before torch is imported.
PATIENT_THREADS: Mapping[str, str] = MappingProxyType({"GOMP_SPINCOUNT": "10000"})


def allotted_cpus(root: Path = Path("/")) -> int:
    """How many CPUs this process may keep busy: the least of affinity, cgroup quotas and SLURM_CPUS_PER_TASK.

    A quota is rounded down, but to at least 1. root: where proc/ and sys/ are mounted.
    """
    limits = [float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)]
    limits += _quotas(root)
    per_task = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if per_task.isdecimal():
        limits.append(float(per_task))
    return max(1, int(min(limits)))


def _quotas(root: Path) -> Iterator[float]:
    """CPU quotas of this process's cgroup and its parents, in cgroups v1 and v2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)  # 4:cpu,cpuacct:/user.slice, or 0::/user.slice
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / "sys/fs/cgroup" / controllers
        cgroup = mounted / path.lstrip("/")
        for folder in (cgroup, *cgroup.parents):  # in a container the process's own cgroup is mounted
            if folder.is_relative_to(mounted) and (quota := _quota(folder)):
                yield quota


def _quota(cgroup: Path) -> float | None:
    """The limit of a cgroup in CPUs; None without a limit."""
    try:
        if (file := cgroup / "cpu.max").exists():
            quota, period = file.read_text().split()
        else:
            quota, period = ((cgroup / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return None
