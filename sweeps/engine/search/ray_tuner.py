"""One run of Ray Tune: the packs that a searcher hands out."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import ConcurrencyLimiter

from sweeps.engine.machine.cluster_slots import ClusterSlots
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.failures import storage_trouble
from sweeps.engine.search.node_losses import NodeLosses
from sweeps.engine.search.searcher import PackSearcher
from sweeps.engine.storage.errors import StorageError

__all__ = ["run_tune"]

#: Times that Ray restarts a trial from its last checkpoint; after the loss of a node it is always restarted.
RETRIES = 1


def run_tune(
    search: PackSearcher,
    callback: tune.Callback,
    trainable: Callable[..., Any],
    *,
    home: SweepHome,
    cluster_slots: ClusterSlots,
    on_storage_error: Callable[[StorageError], None],
) -> None:
    """Train until no pack is left. trainable: what a worker runs with a trial's configuration.

    cluster_slots: how many trials train at a time; it may change.
    on_storage_error: called if a trial could not write its files, before the search learns of the failure.
    """
    _keep_credentials()
    limiter = ConcurrencyLimiter(search, max_concurrent=cluster_slots.resources.slots)
    tuner = tune.Tuner(
        tune.with_resources(trainable, cluster_slots.resources.as_request()),
        tune_config=tune.TuneConfig(
            search_alg=limiter,
            scheduler=_NoStopping(search, limiter, cluster_slots, on_storage_error),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=f"trials-{uuid.uuid4().hex[:8]}",
            storage_path=str(home.ray),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[callback],
            verbose=0,
            progress_reporter=tune.CLIReporter(),  # silent at 0; a notebook's would clear what was printed before
        ),
    )
    tuner.fit()


class _NoStopping(FIFOScheduler):
    """Lets every trial train to its end; what a node or the storage did is not its configurations' fault.

    Keeps as many trials under way, and idle workers, as there are slots for.
    """

    def __init__(
        self,
        search: PackSearcher,
        limiter: ConcurrencyLimiter,
        cluster_slots: ClusterSlots,
        on_storage_error: Callable[[StorageError], None],
    ) -> None:
        super().__init__()
        self.search, self.limiter, self.cluster_slots = search, limiter, cluster_slots
        self.on_storage_error = on_storage_error
        self.losses = NodeLosses()
        self.workers = 0  # idle ones to keep

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._keep_workers(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Called at each step of Tune: follow the slots. The trial that may have an idle worker, or else a new one.

        Tune would take the first that waits, and end the worker that is just starting for it, perhaps on a new node.
        """
        if self.limiter.max_concurrent != self.cluster_slots.resources.slots:
            self.limiter.set_max_concurrency(self.cluster_slots.resources.slots)
            tune_controller.update_max_pending_trials()
        if not self.cluster_slots.is_fixed:
            self.losses.follow(tune_controller.get_live_trials())
        trials: list[Trial] = tune_controller.get_trials()
        if trials:
            self._keep_workers(tune_controller, trials[0])
        assigned = tune_controller._trial_to_actor
        without = (trial for trial in trials if trial.status == Trial.PENDING and trial not in assigned)
        return next(without, None) or super().choose_trial_to_run(tune_controller)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Called for each failure, before Tune restarts the trial or the search learns of its end."""
        # a trial that was given to the idle worker of a lost node would stay among these, and never be started again
        tune_controller._resetting_trials.discard(trial)
        is_lost = not self.cluster_slots.is_fixed and self.losses.forgive(trial)
        error = None if is_lost else storage_trouble(trial)
        if error and (node := self.losses.node_without_storage(trial)) and self.cluster_slots.exclude(node):
            reason = str(error).rpartition("Error: ")[2]
            print(f"{reason}: it gets no trials; mount the storage there at the same path", file=sys.stderr)
            is_lost, error = True, None
        self.search.lost_trial = trial.trial_id if is_lost else ""
        if error:
            self.on_storage_error(error)

    def _keep_workers(self, tune_controller: Any, trial: Trial) -> None:
        """Keep idle workers: Tune would end them, and a new one takes seconds to load torch. All trials are alike."""
        if missing := self.cluster_slots.workers - self.workers:
            tune_controller._actor_cache.increase_max(trial.placement_group_factory, by=missing)
            self.workers += missing

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles the scheduler for Tuner.restore, which is not used


def _keep_credentials() -> None:
    """Keep Tune from passing the driver's cloud credentials to workers: Ray logs them in clear.

    A local worker inherits the driver's environment anyway; the nodes of a cluster have credentials of their own.
    """
    names = class_cache.ENV_VARS_TO_PROPAGATE
    names -= {name for name in names if name.startswith("AWS_")}


def _folder_name(trial: Trial) -> str:
    """The name of a trial's folder: Tune would use its whole configuration."""
    return trial.trial_id
