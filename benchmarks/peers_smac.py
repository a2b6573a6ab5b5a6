"""SMAC 3 on the recorded curves: racing over the classes as instances, and its Hyperband over classes or epochs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace, Float
from peers_table import Replay, Table
from smac import AlgorithmConfigurationFacade, MultiFidelityFacade, Scenario
from smac.acquisition.maximizer.abstract_acquisition_maximizer import AbstractAcquisitionMaximizer
from smac.facade.abstract_facade import AbstractFacade
from smac.initial_design.random_design import RandomInitialDesign
from smac.random_design.abstract_random_design import AbstractRandomDesign
from smac.runhistory.dataclasses import TrialValue

__all__ = ["hyperband_over_classes", "hyperband_over_epochs", "racing"]


class Rows(AbstractAcquisitionMaximizer):
    """Candidates of SMAC's model: the table's rows instead of points drawn from the space."""

    def __init__(self, space: ConfigurationSpace, rows: Sequence[Configuration], seed: int) -> None:
        super().__init__(space, seed=seed)
        self.rows = rows

    def maximize(
        self,
        previous_configs: list[Configuration],
        n_points: int | None = None,
        random_design: AbstractRandomDesign | None = None,
    ) -> Iterator[Configuration]:
        """Rows not tried yet, the highest acquisition value first, a random one where the random design says so."""
        fresh = [row for row in self.rows if row not in previous_configs]
        ranked = [row for _, row in self._sort_by_acquisition_value(fresh)] if fresh else []
        for place in range(len(ranked)):
            at_random = random_design is not None and random_design.check(place + 1)
            yield ranked.pop(self._rng.randint(len(ranked)) if at_random else 0)


def racing(table: Table, order: Sequence[int], seed: int, *, model: bool) -> Replay:
    """Race each configuration against the incumbent over more and more classes, all trained to the last epoch.

    AlgorithmConfigurationFacade with its defaults. With model, SMAC's forest proposes the rows after the first one;
    without, they come in that order.
    """
    return _replay(table, AlgorithmConfigurationFacade, order[:1] if model else order, seed, _instances(table, seed))


def hyperband_over_classes(table: Table, order: Sequence[int], seed: int) -> Replay:
    """MultiFidelityFacade with its defaults; its budget is the number of classes, each trained to the last epoch."""
    options = {**_instances(table, seed), "min_budget": 1, "max_budget": table.classes}
    return _replay(table, MultiFidelityFacade, order, seed, options)


def hyperband_over_epochs(table: Table, order: Sequence[int], seed: int, *, grace: int, reduction: int) -> Replay:
    """MultiFidelityFacade; its budget is the epoch, from grace on, the cost that of the mean over all classes.

    Hyperband divides the epochs by the reduction from above: of 8 by 3 there remain 2.67, taken for 3, and 8.
    """
    options = {"min_budget": grace, "max_budget": table.epochs}
    return _replay(table, MultiFidelityFacade, order, seed, options, {"eta": reduction})


def _instances(table: Table, seed: int) -> dict[str, Any]:
    """The classes as instances, in random order: Hyperband shuffles them the same way for every seed of SMAC's.

    The feature lets SMAC's model tell them apart.
    """
    names = [str(index) for index in np.random.default_rng(seed).permutation(table.classes)]
    return {"instances": names, "instance_features": {name: [float(name)] for name in names}}


def _space(table: Table) -> ConfigurationSpace:
    """The sampled fields between the table's extremes, on a log scale as the sweep samples them."""
    bounds = zip(table.names, table.params.min(0), table.params.max(0), strict=True)
    return ConfigurationSpace(space=[Float(name, (float(low), float(high)), log=True) for name, low, high in bounds])


def _replay(
    table: Table,
    facade: type[AbstractFacade],
    first: Sequence[int],
    seed: int,
    options: dict[str, Any],
    intensifier: dict[str, Any] | None = None,
) -> Replay:
    """Run SMAC by ask and tell, `first` as its initial design, until every row is out. Its answer is the incumbent.

    options: of the scenario; intensifier: what differs from the facade's defaults.
    """
    space = _space(table)
    rows = [Configuration(space, values=dict(zip(table.names, map(float, each), strict=True))) for each in table.params]
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space, output_directory=Path(folder), deterministic=True, n_trials=table.auroc.size, seed=seed, **options
        )
        model = facade.get_model(scenario)
        # the same trees, none has more leaves than points, without the room for 2**20 that takes 0.1 s a tree to clear
        model._rf_opts["max_leaf_nodes"] = table.auroc.size
        smac = facade(
            scenario,
            model=model,
            intensifier=facade.get_intensifier(scenario, **(intensifier or {})),
            initial_design=RandomInitialDesign(scenario, n_configs=0, additional_configs=[rows[row] for row in first]),
            acquisition_maximizer=Rows(space, rows, seed),
            logging_level=False,
        )
        # sequential: the forest of ten trees over a few hundred points takes its threads longer to meet than to grow
        with joblib.parallel_config(backend="sequential"):
            return _asked(table, smac, {row: number for number, row in enumerate(rows)})


def _asked(table: Table, smac: AbstractFacade, rows: Mapping[Configuration, int]) -> Replay:
    """A promoted configuration trains on from where it stood: epochs and classes behind it cost nothing."""
    trained = np.zeros((len(table.auroc), table.classes), dtype=int)  # epochs
    spent, chosen = [], []
    # SMAC goes on to points of the space when it has had all rows
    while (trial := smac.ask()).config in rows:
        row = rows[trial.config]
        classes = range(table.classes) if trial.instance is None else [int(trial.instance)]
        epochs = table.epochs if trial.budget is None else round(trial.budget)
        trained[row, classes] = np.maximum(trained[row, classes], min(epochs, table.lengths[row]))
        smac.tell(trial, TrialValue(cost=float(1 - table.auroc[row, epochs - 1, classes].mean())), save=False)
        spent.append(trained.sum())
        chosen.append(rows[smac.intensifier.get_incumbent()])
    return Replay(np.array(spent), np.array(chosen), trained.sum(1))
