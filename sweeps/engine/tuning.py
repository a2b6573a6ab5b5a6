"""One run of Ray Tune: the trials that a searcher takes from the record."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial

from sweeps.engine.cluster import Resources
from sweeps.engine.turns import InTurn, InTurnScheduler

__all__ = ["fit"]

#: Times that Ray starts a trial again, from its last checkpoint. Each trial is handed out twice at most.
RETRIES = 1


def fit(
    search: InTurn,
    callback: tune.Callback,
    trainable: Callable[..., Any],
    *,
    home: Path,
    room: Resources,
) -> None:
    """Train until no turn is left. trainable: what a worker runs with a trial's configuration."""
    _keep_credentials()
    tuner = tune.Tuner(
        tune.with_resources(trainable, room.as_request()),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=InTurnScheduler(search),
            num_samples=-1,
            max_concurrent_trials=room.slots,
            reuse_actors=True,
            trial_dirname_creator=_folder,
        ),
        run_config=tune.RunConfig(
            name=f"trials-{uuid.uuid4().hex[:8]}",
            storage_path=str(home / "ray"),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[callback],
            verbose=0,
        ),
    )
    tuner.fit()


def _keep_credentials() -> None:
    """Tune hands the driver's cloud credentials to every worker, and Ray logs them in clear; a trial needs none."""
    names = class_cache.ENV_VARS_TO_PROPAGATE
    names -= {name for name in names if name.startswith("AWS_")}


def _folder(trial: Trial) -> str:
    """A trial's own folder: Tune would name it after its whole configuration."""
    return trial.trial_id
