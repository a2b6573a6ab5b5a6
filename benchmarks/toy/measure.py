"""One toy search, measured in a process of its own; and how fast MLflow takes what a search tells it."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from unittest import mock

import psutil
from ray.cloudpickle import register_pickle_by_value

from sweeps.engine.machine.cluster import ray_cluster
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.study import open_study

from . import curves
from .curves import train_nothing
from .engine import Engine, engine
from .loop import Loop

__all__ = ["Backlog", "Cost", "drain", "search"]

#: Trials at a time of a simulated search, and configurations of the one that warms up before the clock starts.
SLOTS, WARM_UP = 16, 12
#: Trials at a time under Ray: more than the CPUs of a laptop, as they train nothing.
RAY_SLOTS = 4


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a search of so many configurations cost: CPU seconds of the driver's loop, by kind of call if it was
    simulated, and of the other threads (MLflow's writer, Ray's); bytes by which the process grew.

    reports: 0 if not counted. waiting: updates that MLflow had not taken at its end. calls: of MLflow's client until
    then. reopened: CPU seconds to open the record again. level: of the runs in MLflow.
    """

    way: str
    level: str
    configurations: int
    trials: int
    reports: int
    loop: float
    by_kind: dict[str, float]
    others: float
    grown: int
    seconds: float
    waiting: int
    calls: int
    reopened: float


@dataclasses.dataclass(frozen=True)
class Backlog:
    """How MLflow keeps up. pace: configurations begun in a second. left: updates waiting as the search ended; seconds:
    until none was."""

    level: str
    pace: float
    configurations: int
    trials: int
    calls: int
    left: int
    seconds: float


def search(database: Path, configs: int, *, with_ray: bool) -> Cost:
    """Search with so many configurations. with_ray: Ray Tune runs the trials, else they are simulated."""
    settings = SweepSettings(scale="laptop", configs=configs)
    if not with_ray:
        _warm_up(database)
        return _simulated(database, settings, None)[0]
    register_pickle_by_value(curves)  # Ray's workers do not see this package
    with mock.patch("sweeps.engine.machine.cluster.allotted_cpus", return_value=RAY_SLOTS), ray_cluster(settings):
        return _measured(database, settings, "Ray Tune", RAY_SLOTS)[0]


def drain(database: Path, configs: int, pace: float, level: str) -> Backlog:
    """Simulate a search that begins so many configurations in a second; wait until MLflow has taken all of it."""
    _warm_up(database)
    settings = SweepSettings(scale="laptop", configs=configs, mlflow_level=level)
    cost, seconds = _simulated(database, settings, pace)
    return Backlog(level, pace, cost.configurations, cost.trials, cost.calls, cost.waiting, seconds)


def _warm_up(database: Path) -> None:
    """A small search, so that everything is loaded."""
    _simulated(database, SweepSettings(scale="laptop", configs=WARM_UP), None)


def _simulated(database: Path, settings: SweepSettings, pace: float | None) -> tuple[Cost, float]:
    loop = Loop(pace)
    with mock.patch("sweeps.engine.stage_runner.run_tune", loop.run_tune):
        cost, seconds = _measured(database, settings, "simulated", SLOTS, drained=pace is not None)
    by_kind = dict(loop.seconds)
    return dataclasses.replace(cost, by_kind=by_kind, trials=len(loop.trials), reports=loop.reports), seconds


def _measured(
    database: Path, settings: SweepSettings, way: str, slots: int, *, drained: bool = False
) -> tuple[Cost, float]:
    """The cost of a search and, if `drained`, the seconds until MLflow had taken all of it."""
    with engine(database, settings, slots=slots) as made:
        before, process = _rss(), time.process_time()
        loop, started = time.thread_time(), time.perf_counter()
        made.run(train_nothing)
        loop, process = time.thread_time() - loop, time.process_time() - process
        seconds, grown, waiting = time.perf_counter() - started, _rss() - before, len(made.writer.outbox)
        until_empty = _seconds_until_empty(made) if drained else 0.0
        record = made.stages.record
        return Cost(
            way, made.stages.tracking.level, len(record.configurations), _trials(made), 0,
            loop, {}, process - loop, grown, seconds, waiting, made.calls.total(), _reopened(record),
        ), until_empty  # fmt: skip


def _seconds_until_empty(made: Engine) -> float:
    started = time.perf_counter()
    while len(made.writer.outbox):
        time.sleep(0.1)
    return time.perf_counter() - started


def _trials(made: Engine) -> int:
    """Folders of Tune's trials; 0 if it was not Tune."""
    return sum(1 for path in made.stages.home.ray.glob("trials-*/*") if path.is_dir())


def _reopened(record: SweepRecord) -> float:
    started = time.thread_time()
    SweepRecord(open_study(record.path, create=False), record.plan, path=record.path)
    return time.thread_time() - started


def _rss() -> int:
    return psutil.Process(os.getpid()).memory_info().rss
