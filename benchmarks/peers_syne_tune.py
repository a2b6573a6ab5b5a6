"""Syne Tune's ASHA over the ten-class mean, on the recorded curves, in Syne Tune's own simulator."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from peers_table import Replay, Table
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.blackbox_repository import UserBlackboxBackend
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.config_space import loguniform, randint
from syne_tune.constants import ST_TRIAL_ID, ST_TUNER_TIME
from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving
from syne_tune.optimizer.schedulers.searchers.searcher import BaseSearcher

__all__ = ["asha"]

SLEEP = 0.5  # simulated seconds between two looks at the workers; an epoch of ten classes takes 10


class InOrder(BaseSearcher):
    """Hands out the points to evaluate and then nothing: Syne Tune's random search would draw rows twice."""

    def suggest(self, **_: Any) -> dict[str, Any] | None:
        return self._next_points_to_evaluate()

    def on_trial_result(self, trial_id: int, config: dict[str, Any], metric: float, resource_level: int) -> None:
        """Nothing: the order does not depend on results."""


def asha(table: Table, order: Sequence[int], seed: int, *, grace: int, reduction: float, workers: int) -> Replay:
    """Replay ASHA over the rows in that order. Its answer is Syne Tune's: the highest mean reported at any epoch."""
    bounds = zip(table.names, table.params.min(0), table.params.max(0), strict=True)
    space = {name: loguniform(float(low), float(high)) for name, low, high in bounds}
    points = [dict(zip(table.names, map(float, table.params[row]), strict=True)) for row in order]
    scheduler = AsynchronousSuccessiveHalving(
        config_space=space,
        metric="auroc",
        do_minimize=False,
        searcher=InOrder(space, points_to_evaluate=points, random_seed=seed),
        time_attr="epoch",
        max_t=table.epochs,
        grace_period=grace,
        reduction_factor=reduction,
        random_seed=seed,
    )
    backend = UserBlackboxBackend(_blackbox(table, space), elapsed_time_attr="elapsed", tuner_sleep_time=SLEEP)
    # the simulator adds the real time of the tuner's own work to its clock: without it, a seed gives the same figures
    backend.time_keeper.real_time_since_last_recent_exit = lambda: 0.0
    tuner = Tuner(
        trial_backend=backend,
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(),  # none: the tuner ends when the rows are out
        n_workers=workers,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        save_tuner=False,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        tuner.run()
    return _replay(table, order, tuner.callbacks[0].dataframe())


def _blackbox(table: Table, space: dict[str, Any]) -> BlackboxTabular:
    """The table for the simulator; a class-epoch takes a simulated second, one after a divergence takes none."""
    epochs = np.arange(1, table.epochs + 1)
    elapsed = np.minimum(epochs, table.lengths[:, None]) * float(table.classes)
    return BlackboxTabular(
        hyperparameters=pd.DataFrame(table.params, columns=list(table.names)),
        configuration_space=space,
        fidelity_space={"epoch": randint(1, table.epochs)},
        objectives_evaluations=np.stack([table.auroc.mean(2), elapsed], axis=2)[:, None],
        objectives_names=["auroc", "elapsed"],
    )


def _replay(table: Table, order: Sequence[int], reports: pd.DataFrame) -> Replay:
    """From every report that reached the scheduler; compute counts the epochs under way of other workers in part."""
    trials = reports.groupby(ST_TRIAL_ID).agg(first=(ST_TUNER_TIME, "first"), epochs=("epoch", "max"))
    rows = np.asarray(order)[trials.index]  # trials are numbered as they start
    trained = np.zeros(len(table.auroc), dtype=int)
    trained[rows] = np.minimum(trials["epochs"], table.lengths[rows]) * table.classes
    begun = trials["first"].to_numpy() - table.classes
    at = np.maximum.accumulate(reports[ST_TUNER_TIME])
    spent = np.clip(at.to_numpy()[:, None] - begun, 0, trained[rows]).sum(1)
    highest = [int(reports["auroc"][: count + 1].argmax()) for count in range(len(reports))]
    return Replay(spent, np.asarray(order)[reports[ST_TRIAL_ID].to_numpy()[highest]], trained)
