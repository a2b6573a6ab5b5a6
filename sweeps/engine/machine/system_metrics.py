"""System metrics: what MLflow's own monitors measure of the driver's machine, sent like every other update.

MLflow's own thread would write past the outbox, and its figures would be lost while MLflow is away.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, TypeVar

import click

from adcore.errors import UserError
from sweeps.engine.planning.run_settings import RunSettings

__all__ = ["SystemMetrics", "check_system_metrics", "without_missing_metrics"]

#: Seconds between two samples, as in MLflow's own monitor.
PERIOD = 10.0
#: How the names begin that MLflow shows under "System metrics".
PREFIX = "system/"
Settings = TypeVar("Settings", bound=RunSettings)


def without_missing_metrics(settings: Settings, flags: Collection[str]) -> Settings:
    """A resumed sweep's settings, without the system metrics that this machine cannot measure and nobody asks for now.

    flags: the names of those given.
    """
    if not settings.system_metrics or "system_metrics" in flags or _can_measure():
        return settings
    click.echo("--system-metrics, which the sweep was started with: going on without, as psutil is missing", err=True)
    return dataclasses.replace(settings, system_metrics=False)


def check_system_metrics() -> None:
    """Raises UserError if the package that measures is missing."""
    if not _can_measure():
        raise UserError(
            "--system-metrics: expected the package psutil, which measures; install it (pip install psutil, and "
            "nvidia-ml-py for GPUs), or leave --system-metrics out"
        )


def _can_measure() -> bool:
    return find_spec("psutil") is not None


class SystemMetrics:
    """Samples of the use of CPU, memory, disk, network and, if their library is installed, of GPUs. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
        from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

        self.clock, self.next_sample_at = clock, 0.0
        self.monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
        for kind in (GPUMonitor, ROCMMonitor):
            with suppress(Exception):  # no such GPU, or its library is missing
                self.monitors.append(kind())
        self._measure()  # use of the CPUs is measured since the last sample

    def sample(self) -> dict[str, float]:
        """The figures, by MLflow's names; none if the last sample is more recent than PERIOD."""
        if self.clock() < self.next_sample_at:
            return {}
        self.next_sample_at = self.clock() + PERIOD
        return self._measure()

    def _measure(self) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for monitor in self.monitors:
            with suppress(Exception):  # a disk or a GPU that cannot be asked ends no sweep
                monitor.collect_metrics()
                metrics |= {f"{PREFIX}{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return metrics
