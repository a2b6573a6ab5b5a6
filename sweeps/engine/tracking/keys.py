"""Keys by which the runs of a sweep are found in MLflow."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SWEEP", "config_key", "run_key"]

#: Key of the sweep's own run.
SWEEP = "sweep"


def run_key(stage: str, configuration: int, seed: int) -> str:
    """Key of the run of a configuration with a seed in a stage."""
    return f"{stage}/{configuration}/{seed}"


def config_key(stage: str, configuration: int, seeds: Sequence[int], seed: int) -> str:
    """Key of a configuration's own run: if it has several seeds in a stage, the parent of their runs."""
    return f"{stage}/{configuration}" if len(seeds) > 1 else run_key(stage, configuration, seed)
