"""One run of Ray Tune: the packs that a searcher hands out."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweeps.engine.machine.resources import Resources
from sweeps.engine.machine.storage import StorageError
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.failures import storage_trouble
from sweeps.engine.search.searcher import PackSearcher

__all__ = ["fit"]

#: Times that Ray restarts a trial from its last checkpoint.
RETRIES = 1


def fit(
    search: PackSearcher,
    callback: tune.Callback,
    trainable: Callable[..., Any],
    *,
    home: SweepHome,
    resources: Resources,
    on_storage_error: Callable[[StorageError], None],
) -> None:
    """Train until no pack is left. trainable: what a worker runs with a trial's configuration.

    on_storage_error: called if a trial could not write its files, before the search learns of the failure.
    """
    _keep_credentials()
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources.as_request()),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=_ToTheEnd(resources.slots, on_storage_error),
            num_samples=-1,
            max_concurrent_trials=resources.slots,
            reuse_actors=True,
            trial_dirname_creator=_folder,
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


class _ToTheEnd(FIFOScheduler):
    """Lets every trial train to its end; a full disk is not its configurations' fault. slots: workers to keep."""

    def __init__(self, slots: int, on_storage_error: Callable[[StorageError], None]) -> None:
        super().__init__()
        self.slots, self.on_storage_error, self.keeps_workers = slots, on_storage_error, False

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Keep idle workers: Tune would end them, and a new one takes seconds to load torch."""
        if not self.keeps_workers:
            tune_controller._actor_cache.increase_max(trial.placement_group_factory, by=self.slots)
            self.keeps_workers = True

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        if error := storage_trouble(trial):
            self.on_storage_error(error)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles the scheduler for Tuner.restore, which is not used


def _keep_credentials() -> None:
    """Keep Tune from passing the driver's cloud credentials to workers: Ray logs them in clear.

    A local worker inherits the driver's environment anyway; the nodes of a cluster have credentials of their own.
    """
    names = class_cache.ENV_VARS_TO_PROPAGATE
    names -= {name for name in names if name.startswith("AWS_")}


def _folder(trial: Trial) -> str:
    """The name of a trial's folder: Tune would use its whole configuration."""
    return trial.trial_id
