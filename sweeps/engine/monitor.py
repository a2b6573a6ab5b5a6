"""Monitor: hears of every trial on the driver, and tells MLflow and the display."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.experiment import Trial

from sweeps.engine.display import Display
from sweeps.engine.failures import describe_failure
from sweeps.engine.tracking import Tracking

__all__ = ["Monitor", "Stage"]


class Stage(Protocol):
    """What a monitor asks of the stage that it follows."""

    name: str

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts in words, and the best ten-class mean so far."""
        ...


class Monitor(tune.Callback):
    """Follows one stage. close_ended: called whenever a configuration may have ended; on_step: at each step of Tune's.

    report_timeout: minutes without a report after which a trial's worker is ended; Tune starts the trial again, from
    its checkpoint, as after any failure. failures: what failed and where its log is, one line each.
    """

    def __init__(
        self,
        stage: Stage,
        tracking: Tracking,
        display: Display,
        *,
        close_ended: Callable[[], None],
        on_step: Callable[[], None],
        report_timeout: float,
    ) -> None:
        self.stage, self.tracking, self.display = stage, tracking, display
        self.close_ended, self.on_step = close_ended, on_step
        self.base = tracking.plan.base
        self.epochs: dict[str, int] = {}  # last epoch heard of, by trial under way
        self.report_timeout = report_timeout
        self.heard: dict[str, float] = {}  # when a running trial was last heard of
        self.silent: set[str] = set()  # trials whose worker was ended for its silence
        self.failures: list[str] = []

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.on_step()
        now = time.monotonic()
        for trial in trials:
            actor = trial.temporary_state.ray_actor
            if actor and now - self.heard.get(trial.trial_id, now) > 60 * self.report_timeout:
                del self.heard[trial.trial_id]
                self.silent.add(trial.trial_id)
                ray.kill(actor)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.epochs[trial.trial_id], self.heard[trial.trial_id] = 0, time.monotonic()
        self.tracking.open_trial(self.stage.name, trial.config)
        self._show(event=False)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.heard[trial.trial_id] = time.monotonic()
        self.silent.discard(trial.trial_id)
        self.tracking.epoch(self.stage.name, trial.config, result)
        done = int(result["epoch"]) - self.epochs.get(trial.trial_id, 0)
        self.epochs[trial.trial_id] = int(result["epoch"])
        self.display.trained(trial.trial_id, done * self._share(trial), result["images_per_second"])
        self._show(event=False)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._ended(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        silence = self.report_timeout if trial.trial_id in self.silent else None
        self.failures.append(describe_failure(trial, self.stage.name, silent_minutes=silence))
        self._ended(trial)

    def _ended(self, trial: Trial) -> None:
        self.heard.pop(trial.trial_id, None)
        left = trial.config["epochs"] - self.epochs.pop(trial.trial_id, 0)
        self.display.ended(trial.trial_id, left * self._share(trial))
        self._show(event=True)

    def _share(self, trial: Trial) -> float:
        return len(trial.config["classes"]) / len(self.base.classes)

    def _show(self, *, event: bool) -> None:
        self.close_ended()
        self.display.update(*self.stage.status(len(self.epochs), len(self.failures)), event=event)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks for Tuner.restore, which is not used
