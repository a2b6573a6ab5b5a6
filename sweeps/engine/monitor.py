"""Monitor: hears of every trial on the driver, and tells MLflow and the display."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from sweeps.engine.display import Display
from sweeps.engine.failures import describe_failure, storage_trouble
from sweeps.engine.searcher import RecordSearcher
from sweeps.engine.silence import Silence
from sweeps.engine.storage_error import StorageError
from sweeps.engine.tracking import Tracking

__all__ = ["Monitor"]


class Monitor(tune.Callback):
    """Follows one stage after another, each from `begin` on.

    on_setup: called when Tune is ready to begin; on_step: at each of its steps; close_ended: with the stage, whenever a
    configuration may have ended.
    on_storage_error: told of a trial that could not write its files. report_timeout: minutes without a report after
    which a trial's worker is ended; Tune starts the trial again, from its checkpoint, as after any failure.
    """

    def __init__(
        self,
        tracking: Tracking,
        display: Display,
        *,
        close_ended: Callable[[RecordSearcher], None],
        on_setup: Callable[[], None],
        on_step: Callable[[], None],
        on_storage_error: Callable[[StorageError], None],
        report_timeout: float,
    ) -> None:
        self.tracking, self.display = tracking, display
        self.close_ended, self.on_storage_error = close_ended, on_storage_error
        self.on_setup, self.on_step = on_setup, on_step
        self.plan = tracking.plan
        self.epochs: dict[str, int] = {}  # last epoch heard of, by trial under way
        self.silence = Silence(60 * report_timeout)
        self.furthest: dict[tuple[Any, ...], int] = {}  # epoch
        self.failed: dict[tuple[Any, ...], str] = {}
        self.failed_before: list[str] = []  # in the stages before

    def begin(self, stage: RecordSearcher) -> None:
        """Follow another stage."""
        self.stage = stage
        self.failed_before = self.failures
        self.failed = {}

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        self.on_setup()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.on_step()
        self.silence.end_silent(trials)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.epochs[trial.trial_id] = 0
        self.tracking.open_trial(self.stage.name, trial.config)
        self._show(event=False)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.silence.heard(trial)
        self.tracking.epoch(self.stage.name, trial.config, result)
        if int(result["epoch"]) > self.furthest.get(_work(trial), 0):
            self.furthest[_work(trial)] = int(result["epoch"])
            trial.run_metadata.num_failures = 0  # the limit is for what fails again and again at the same place
        done = int(result["epoch"]) - self.epochs.get(trial.trial_id, 0)
        self.epochs[trial.trial_id] = int(result["epoch"])
        self.display.trained(trial.trial_id, done * self._share(trial), result["images_per_second"])
        self._show(event=False)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.failed.pop(_work(trial), None)  # it had failed before, and was tried again
        self._ended(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.failed[_work(trial)] = describe_failure(trial, self.stage.name, silent=self.silence.was_ended(trial))
        if error := storage_trouble(trial):
            self.on_storage_error(error)
        self._ended(trial)

    @property
    def failures(self) -> list[str]:
        """What failed in the end and where its log is, one line each."""
        return [*self.failed_before, *self.failed.values()]

    def _ended(self, trial: Trial) -> None:
        left = trial.config["epochs"] - self.epochs.pop(trial.trial_id, 0)
        self.display.ended(trial.trial_id, left * self._share(trial))
        self._show(event=True)

    def _share(self, trial: Trial) -> float:
        return self.plan.share(trial.config)

    def _show(self, *, event: bool) -> None:
        self.close_ended(self.stage)
        self.display.update(*self.stage.status(len(self.epochs), len(self.failed)), event=event)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks for Tuner.restore, which is not used


def _work(trial: Trial) -> tuple[Any, ...]:
    """What a trial trains, whatever its Ray id."""
    return trial.config["configuration"], trial.config["classes"], trial.config["train_seed"]
