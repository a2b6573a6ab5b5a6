"""Tune's loop without Ray: trials that report one after another, and the calls that Tune makes on the driver."""

from __future__ import annotations

import copy
import heapq
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.search import Searcher
from ray.tune.search.variant_generator import format_vars
from ray.tune.utils import flatten_dict

from sweeps.engine.live.monitor import Monitor
from sweeps.engine.machine.cluster_slots import ClusterSlots
from sweeps.engine.search.searcher import PackSearcher

from .curves import reports_of

__all__ = ["Loop"]


class Loop:
    """Stands in for `ray_tuner.run_tune`: the searcher and the monitor are called as Tune's controller calls them.

    Trials report in random order, as those of different length do. seconds: CPU seconds of this thread by kind of call;
    trials: all of them, as Tune keeps them. pace: configurations that may begin in a second; None: as many as can.
    """

    def __init__(self, pace: float | None = None) -> None:
        self.pace, self.started = pace, time.monotonic()
        self.seconds, self.reports = defaultdict[str, float](float), 0
        self.trials: list[Trial] = []
        self.order, self.clock = random.Random(0), 0.0
        self.running: list[tuple[float, int, Trial, Iterator[dict[str, Any]]]] = []
        self.numbers = count()

    def run_tune(
        self, search: PackSearcher, monitor: Monitor, trainable: Any, *, cluster_slots: ClusterSlots, **others: Any
    ) -> None:
        """Train until no pack is left."""
        self.search, self.monitor = search, monitor
        slots = cluster_slots.resources.slots
        monitor.setup()
        while True:
            while len(self.running) < slots and self._begin():
                pass
            if not self.running:
                return
            self._timed("steps", monitor.on_step_begin, len(self.trials), self.trials)
            self._next_report()

    def _begin(self) -> bool:
        name = f"{next(self.numbers):08x}"
        config = self._timed("proposals", self.search.suggest, name)
        if config is None or config == Searcher.FINISHED:
            return False
        trial = self._timed("Tune's trial", _trial, name, config)
        self.trials.append(trial)
        self._timed("starts", self.monitor.on_trial_start, 0, self.trials, trial)
        self._wait()
        self._queue(trial, reports_of(config))
        return True

    def _next_report(self) -> None:
        self.clock, _, trial, reports = heapq.heappop(self.running)
        result = next(reports, None)
        if result is not None:
            self.reports += 1
            self._timed("reports", self.search.on_trial_result, trial.trial_id, result)
            self._timed("reports", self.monitor.on_trial_result, 0, self.trials, trial, result)
            self._timed("Tune's trial", trial.update_last_result, result | {"config": trial.config})
            self._queue(trial, reports)
            return
        trial.set_status(Trial.TERMINATED)
        trial.temporary_state.ray_actor = None
        self._timed("ends", self.search.on_trial_complete, trial.trial_id, trial.last_result)
        self._timed("ends", self.monitor.on_trial_complete, 0, self.trials, trial)

    def _queue(self, trial: Trial, reports: Iterator[dict[str, Any]]) -> None:
        heapq.heappush(self.running, (self.clock + self.order.random(), next(self.numbers), trial, reports))

    def _timed(self, kind: str, call: Any, *given: Any) -> Any:
        before = time.thread_time()
        try:
            return call(*given)
        finally:
            self.seconds[kind] += time.thread_time() - before

    def _wait(self) -> None:
        """Keep the pace."""
        if self.pace:
            begun = len({part["configuration"] for trial in self.trials for part in trial.config["parts"]})
            time.sleep(max(0.0, self.started + begun / self.pace - time.monotonic()))


def _trial(name: str, config: dict[str, Any]) -> Trial:
    """A trial as Tune makes it of what a searcher suggests."""
    flat = flatten_dict(config)
    trial = Trial(
        "toy", config=copy.deepcopy(config), trial_id=name, evaluated_params=flat, stub=True,
        experiment_tag=f"{name}_{format_vars(flat)}",
    )  # fmt: skip
    trial.temporary_state.ray_actor = name
    trial.set_status(Trial.RUNNING)
    return trial
