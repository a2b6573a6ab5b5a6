"""Sweep scripts and the engine that runs them on Ray. From Python: `from sweeps import LogUniform, Space, sweep`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adcore.errors import UserError
    from sweeps.engine.api import SweepFailed, open_sweep, sweep
    from sweeps.engine.planning.space import Choice, Integers, LogUniform, Space, Uniform
    from sweeps.engine.results.sweep_result import SweepResult

__all__ = [
    "Choice", "Integers", "LogUniform", "Space", "SweepFailed", "SweepResult", "Uniform", "UserError", "open_sweep",
    "sweep",
]  # fmt: skip

_PLACES = {
    "sweeps.engine.api": ("SweepFailed", "open_sweep", "sweep"),
    "sweeps.engine.planning.space": ("Choice", "Integers", "LogUniform", "Space", "Uniform"),
    "sweeps.engine.results.sweep_result": ("SweepResult",),
    "adcore.errors": ("UserError",),
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: every worker imports this package, and needs none of it."""
    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(place), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
