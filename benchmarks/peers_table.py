"""The recorded learning curves as benchmarks/peers.py replays them, and the figures of one replay."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

__all__ = ["BUDGETS", "Outcome", "Replay", "Table", "load_table", "outcome"]

#: Compute at which an answer is asked for, as parts of what training every configuration to its end costs.
BUDGETS = (1 / 8, 1 / 4, 1 / 2, 1.0)
CHANCE = 0.5  # AUROC of a detector that guesses, taken for NaN


@dataclasses.dataclass(frozen=True)
class Table:
    """names: of the sampled fields; params: [configurations, fields]; auroc: [configurations, epochs, classes], without
    NaN; lengths: epochs that each configuration ran, [configurations], fewer than `epochs` if it diverged."""

    names: tuple[str, ...]
    params: np.ndarray
    auroc: np.ndarray
    lengths: np.ndarray

    @property
    def epochs(self) -> int:
        """Epochs of a full training."""
        return self.auroc.shape[1]

    @property
    def classes(self) -> int:
        return self.auroc.shape[2]

    @property
    def finals(self) -> np.ndarray:
        """Mean over the classes at the last epoch, [configurations]."""
        return self.auroc[:, -1].mean(1)

    @property
    def best(self) -> int:
        """Row of the configuration with the highest mean at the last epoch."""
        return int(self.finals.argmax())

    @property
    def compute(self) -> int:
        """Class-epochs of training every configuration to its end."""
        return int(self.lengths.sum()) * self.classes


@dataclasses.dataclass(frozen=True)
class Replay:
    """One search over the table, ended by itself.

    spent: class-epochs of all workers at each event, ascending, [events]; chosen: row that the peer itself would answer
    after it, [events]; trained: class-epochs that each configuration was given, [configurations].
    """

    spent: np.ndarray
    chosen: np.ndarray
    trained: np.ndarray


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Figures of one replay. regrets: AUROC, by budget; compute: of the whole search, as part of that of no stopping;
    missed: whether the table's best configuration was not trained to its end in every class."""

    regrets: tuple[float, ...]
    compute: float
    missed: bool


def load_table(path: Path) -> Table:
    """The table in a file of benchmarks/record_curves.py; from the first epoch with a NaN on, AUROC 0.5."""
    found = json.loads(path.read_text())["configurations"]
    curves = [np.array(each["curves"], dtype=float) for each in found]
    auroc = np.full((len(curves), max(map(len, curves)), curves[0].shape[1]), CHANCE)
    lengths = np.full(len(curves), auroc.shape[1])
    for row, curve in enumerate(curves):
        whole = np.isfinite(curve).all(axis=1)
        sound = len(curve) if whole.all() else int(whole.argmin())
        auroc[row, :sound] = curve[:sound]
        lengths[row] = min(sound + 1, auroc.shape[1])  # a training ends after the epoch in which it diverges
    names = tuple(found[0]["params"])
    return Table(names, np.array([[each["params"][name] for name in names] for each in found]), auroc, lengths)


def outcome(table: Table, replay: Replay) -> Outcome:
    """The figures of a replay. An answer holds until the next event, and after the last one."""
    events = np.searchsorted(replay.spent, [budget * table.compute + 1e-6 for budget in BUDGETS], side="right") - 1
    if events.min() < 0:
        raise ValueError(f"no answer within {BUDGETS[0] * table.compute:.0f} class-epochs: too few configurations")
    finals = table.finals
    regrets = finals[table.best] - finals[replay.chosen[events]]
    missed = replay.trained[table.best] < table.lengths[table.best] * table.classes
    return Outcome(tuple(map(float, regrets)), float(replay.trained.sum() / table.compute), bool(missed))
