"""Monitor: hears of every trial on the driver, and tells MLflow and the display."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from sweeps.engine.live.display import Display
from sweeps.engine.live.watchdog import Silence
from sweeps.engine.search.failures import describe_failure
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.trial import Part, epochs_of, parts_of
from sweeps.engine.tracking.events import Tracking

__all__ = ["Monitor"]


class Monitor(tune.Callback):
    """Follows one stage after another, each from `begin` on.

    on_setup: called when Tune is ready to begin; on_step: at each of its steps; close_ended: with the stage, whenever a
    configuration may have ended.
    report_timeout: minutes without a report after which a trial's worker is ended; Tune starts the trial again, from
    its checkpoint, as after any failure.
    """

    def __init__(
        self,
        tracking: Tracking,
        display: Display,
        *,
        close_ended: Callable[[PackSearcher], None],
        on_setup: Callable[[], None],
        on_step: Callable[[], None],
        report_timeout: float,
    ) -> None:
        self.tracking, self.display = tracking, display
        self.close_ended, self.on_setup, self.on_step = close_ended, on_setup, on_step
        self.plan = tracking.plan
        self.done: dict[str, float] = {}  # share that each trial under way has trained, in the display's unit
        self.reached: dict[str, dict[Part, float]] = {}  # epoch of each part that was last heard of, by trial under way
        self.silence = Silence(60 * report_timeout)
        self.furthest: dict[tuple[Any, ...], float] = {}
        self.failed: dict[tuple[Any, ...], str] = {}
        self.failed_before: list[str] = []  # in the stages before

    def begin(self, stage: PackSearcher) -> None:
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
        self.done.setdefault(trial.trial_id, 0.0)  # one that is started again has trained what it has
        self.tracking.open_trial(self.stage.name, parts_of(trial.config))
        self._show(event=False)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.silence.heard(trial)
        found = [each for each in zip(parts_of(trial.config), epochs_of(result), strict=True) if each[1]]
        reached = {part: metrics["epoch"] for part, metrics in found if metrics and metrics["epoch"] > part.start}
        before = self.reached.get(trial.trial_id, {})
        self.tracking.epochs(
            self.stage.name, [(p, m) for p, m in found if m and p in reached and reached[p] != before.get(p)]
        )
        self.reached[trial.trial_id] = reached
        done = sum(self._share(part, epoch) for part, epoch in reached.items())
        if done > self.furthest.get(_work(trial), 0):
            self.furthest[_work(trial)] = done
            trial.run_metadata.num_failures = 0  # the limit is for what fails again and again at the same place
        self.display.trained(trial.trial_id, done - self.done.get(trial.trial_id, 0), result["images_per_second"])
        self.done[trial.trial_id] = done
        self._show(event=False)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        for part in parts_of(trial.config):
            self.failed.pop(part.work, None)  # it had failed before, and was tried again
        whole = sum(self._share(part, trial.config["until"]) for part in parts_of(trial.config))
        self._ended(trial, whole - self.done.pop(trial.trial_id, 0))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        line = describe_failure(trial, self.stage.name, silent=self.silence.was_ended(trial))
        self.failed |= {part.work: line for part in parts_of(trial.config)}
        self.display.trained(trial.trial_id, -self.done.pop(trial.trial_id, 0), 0)  # it may be tried again
        self._ended(trial)

    @property
    def failures(self) -> list[str]:
        """What failed in the end and where its log is, one line each."""
        return [*self.failed_before, *dict.fromkeys(self.failed.values())]

    def _ended(self, trial: Trial, saved: float = 0.0) -> None:
        self.reached.pop(trial.trial_id, None)
        self.display.ended(trial.trial_id, saved)
        self._show(event=True)

    def _share(self, part: Part, until: float) -> float:
        return self.plan.share(part.config) * (until - part.start)

    def _show(self, *, event: bool) -> None:
        self.close_ended(self.stage)
        self.display.update(*self.stage.status(len(self.done), len(set(self.failed.values()))), event=event)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks for Tuner.restore, which is not used


def _work(trial: Trial) -> tuple[Any, ...]:
    """What a trial trains, whatever its Ray id."""
    return (trial.config["until"], *((part.work, part.start) for part in parts_of(trial.config)))
