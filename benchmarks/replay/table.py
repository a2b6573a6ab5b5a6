"""The recorded learning curves: what a training of each configuration would report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from adcore.config import TrainConfig

__all__ = ["Table", "load_table", "orders_of"]


@dataclasses.dataclass(frozen=True)
class Table:
    """params: the sampled fields of each configuration; curves: its AUROCs, [epochs until it ended, classes]. dataset:
    that with which they were recorded, if its hardest class is known: of the paper's detector and protocol.

    A diverged configuration ends at its first epoch with a NaN, in all classes: it was recorded as one network.
    """

    params: list[dict[str, float]]
    curves: list[np.ndarray]
    dataset: str = ""

    @cached_property
    def epochs(self) -> int:
        """Epochs of a full training."""
        return max(len(curve) for curve in self.curves)

    @cached_property
    def classes(self) -> int:
        return self.curves[0].shape[1]

    @cached_property
    def finals(self) -> np.ndarray:
        """Mean over the classes at the last epoch, [configurations]; NaN for what diverged."""
        return np.array([curve[-1].mean() if len(curve) == self.epochs else np.nan for curve in self.curves])

    @cached_property
    def best(self) -> int:
        """Row of the configuration with the highest mean at the last epoch."""
        return int(np.nanargmax(self.finals))

    @cached_property
    def compute(self) -> int:
        """Class-epochs of training every configuration to its end."""
        return sum(curve.size for curve in self.curves)

    def row(self, config: Mapping[str, Any]) -> int:
        """The row whose sampled fields are those of a trial's config. Raises KeyError if there is none."""
        return self._rows[tuple(config[name] for name in self.params[0])]

    @cached_property
    def _rows(self) -> dict[tuple[float, ...], int]:
        return {tuple(params[name] for name in self.params[0]): row for row, params in enumerate(self.params)}


def load_table(path: Path) -> tuple[Table, dict[str, Any]]:
    """The table in a file of benchmarks/record_curves.py, and what the file says of its origin."""
    stored = json.loads(path.read_text())
    found: Sequence[dict[str, Any]] = stored["configurations"]
    curves = [_until_divergence(np.array(each["curves"], dtype=float)) for each in found]
    config = stored.get("origin", {}).get("config", {})
    usual = all(config.get(name) == getattr(TrainConfig, name) for name in ("detector", "protocol"))
    dataset = config.get("dataset", "") if usual else ""
    return Table([each["params"] for each in found], curves, dataset), stored.get("origin", {})


def orders_of(table: Table, permutations: int, seed: int) -> list[list[int]]:
    """Random orders of the table's rows."""
    draws = (np.random.default_rng([seed, index]) for index in range(permutations))
    return [draw.permutation(len(table.params)).tolist() for draw in draws]


def _until_divergence(curve: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(curve).all(axis=1))
    return curve[: bad[0] + 1] if len(bad) else curve
