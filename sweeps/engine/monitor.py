"""Monitor: hears of every trial on the driver, and tells MLflow and the display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial

from sweeps.engine.display import Display
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

    failures: what failed and where its log is, one line each.
    """

    def __init__(
        self,
        stage: Stage,
        tracking: Tracking,
        display: Display,
        *,
        close_ended: Callable[[], None],
        on_step: Callable[[], None],
    ) -> None:
        self.stage, self.tracking, self.display = stage, tracking, display
        self.close_ended, self.on_step = close_ended, on_step
        self.base = tracking.plan.base
        self.epochs: dict[str, int] = {}  # last epoch heard of, by trial under way
        self.failures: list[str] = []

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.on_step()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.epochs[trial.trial_id] = 0
        self.tracking.open_trial(self.stage.name, trial.config)
        self._show(event=False)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.tracking.epoch(self.stage.name, trial.config, result)
        done = int(result["epoch"]) - self.epochs.get(trial.trial_id, 0)
        self.epochs[trial.trial_id] = int(result["epoch"])
        self.display.trained(trial.trial_id, done * self._share(trial), result["images_per_second"])
        self._show(event=False)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._ended(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        config = trial.config
        file = Path(trial.error_file or "")  # the driver's own: get_error() reads a copy that is not there yet
        lines = file.read_text().strip().splitlines() if file.is_file() else []
        reason = lines[-1] if lines else "the worker process died"
        classes = ",".join(map(str, config["classes"]))
        log = trial.error_file or "Ray's session folder"
        where = f"{self.stage.name} configuration {config['configuration']}, classes {classes}"
        self.failures.append(f"{where}: {reason} (log: {log})")
        self._ended(trial)

    def _ended(self, trial: Trial) -> None:
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
