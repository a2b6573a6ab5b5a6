"""Monitor: follows every trial of a stage on the driver, and updates MLflow and the display."""

from __future__ import annotations

import time
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from sweeps.engine.live.display import Display
from sweeps.engine.live.watchdog import Watchdog
from sweeps.engine.search.failures import describe_failure
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.search.trial import Part, parts_of
from sweeps.engine.tracking.events import Tracking

__all__ = ["Monitor", "StageListener"]

#: Seconds after a trial's end in which its slot gets the next one: before that, one too few would be shown.
REFILLED = 1.0


class StageListener:
    """Hooks for the owner of a stage while Tune runs; they do nothing by default."""

    def tune_ready(self) -> None:
        """Tune is ready to begin: its signal handlers are in place."""

    def tune_step(self) -> None:
        """Another step of Tune's loop."""

    def tell_ended(self, search: PackSearcher) -> None:
        """A configuration may have ended."""


class Monitor(tune.Callback):
    """Follows one stage.

    report_timeout: minutes without a report after which a trial's worker is killed; Tune restarts the trial from its
    checkpoint, as after any failure.
    """

    def __init__(
        self,
        search: PackSearcher,
        tracking: Tracking,
        display: Display,
        listener: StageListener,
        *,
        report_timeout: float,
    ) -> None:
        self.search, self.tracking, self.display, self.listener = search, tracking, display, listener
        self.watchdog = Watchdog(60 * report_timeout)
        self.class_epochs: dict[str, int] = {}  # class-epochs of the trials under way
        self.parts: dict[str, tuple[Part, ...]] = {}  # of the trials under way
        self.most_class_epochs: dict[tuple[Any, ...], int] = {}  # class-epochs of what is trained or to be retried
        self.failure_lines: dict[tuple[Any, ...], str] = {}
        self.ended_at: float | None = None  # when a trial ended that is not shown yet

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        self.listener.tune_ready()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.listener.tune_step()
        self.watchdog.kill_silent(trials)
        if self.ended_at is not None and time.monotonic() - self.ended_at > REFILLED:
            self.show_ended()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.class_epochs.setdefault(trial.trial_id, 0)  # a restarted trial keeps what it has trained
        self.display.start_trial(trial.trial_id)
        self.tracking.open_trial(self.search.name, self._parts_of(trial))
        self._show()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.watchdog.note_report(trial)
        self.tracking.log_epochs(self.search.name, self.search.new_epochs(trial.trial_id))
        done, training = self.search.class_epochs(trial.trial_id), self._training_of(trial)
        if done > self.most_class_epochs.get(training, 0):
            self.most_class_epochs[training] = done
            trial.run_metadata.num_failures = 0  # the limit is for repeated failures at the same point
        self.display.add_epochs(
            trial.trial_id, done - self.class_epochs.get(trial.trial_id, 0), result["images_per_second"]
        )
        self.class_epochs[trial.trial_id] = done
        self._show()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        parts = self._parts_of(trial)
        self.most_class_epochs.pop(self._training_of(trial), None)
        for part in parts:
            self.failure_lines.pop(part.training_key, None)  # it had failed before, and was retried
        planned = sum(len(part.config.classes) * (trial.config["until"] - part.start) for part in parts)
        self._end_trial(trial, planned - self.class_epochs.pop(trial.trial_id, 0))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        line = describe_failure(trial, self.search.name, silent=self.watchdog.was_killed(trial))
        self.failure_lines |= {part.training_key: line for part in self._parts_of(trial)}
        self.display.add_epochs(trial.trial_id, -self.class_epochs.pop(trial.trial_id, 0), 0)  # it may be retried
        self._end_trial(trial)

    @property
    def failures(self) -> list[str]:
        """The trials that failed for good, with their logs, one line each."""
        return list(dict.fromkeys(self.failure_lines.values()))

    def show_ended(self) -> None:
        """Show that trials have ended, if that was not shown yet."""
        if self.ended_at is not None:
            self.ended_at = None
            self._update(event=True)

    def _end_trial(self, trial: Trial, saved: int = 0) -> None:
        self.parts.pop(trial.trial_id, None)
        self.display.end_trial(trial.trial_id, saved)
        self.ended_at = self.ended_at or time.monotonic()
        self._show()

    def _show(self) -> None:
        self.listener.tell_ended(self.search)
        self._update(event=False)

    def _update(self, *, event: bool) -> None:
        if self.display.is_due(event=event):
            self.display.update(*self.search.status(len(self.class_epochs), len(self.failures)), event=event)

    def _parts_of(self, trial: Trial) -> tuple[Part, ...]:
        """Those of its pack; of a trial that failed before it began, the search knows nothing any more."""
        if trial.trial_id not in self.parts:
            job = self.search.jobs.get(trial.trial_id)
            self.parts[trial.trial_id] = job.parts if job else tuple(parts_of(trial.config))
        return self.parts[trial.trial_id]

    def _training_of(self, trial: Trial) -> tuple[Any, ...]:
        """The training of a trial, whatever its Ray id."""
        return (trial.config["until"], *((part.training_key, part.start) for part in self._parts_of(trial)))

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks for Tuner.restore, which is not used
