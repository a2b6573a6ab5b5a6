"""--start-from: the winner of a finished sweep as the first configuration of another one, say on other data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from adcore.errors import UserError
from sweeps.engine.planning.space import Space

__all__ = ["start_from"]


def start_from(space: Space, home: Path) -> Space:
    """The space with the winner of the finished sweep in folder `home` before its other points.

    Raises UserError if there is none, or if it has other fields than this space.
    """
    if space.is_grid:
        raise UserError("--start-from: this script trains its own points and no others")
    path = home / "results.json"
    try:
        winner = dict(json.loads(path.read_text())["winner"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # not there, or not of a sweep
        raise UserError(f"--start-from {home.name}: no results of a finished sweep in {path}") from error
    winner.pop("configuration", None)
    if set(winner) != set(space.names):
        raise UserError(f"--start-from {home.name}: its winner has other fields ({', '.join(winner)}) than this sweep")
    for name, value in winner.items():
        each = space.ranges[name]
        if not each.holds(value):
            raise UserError(
                f"--start-from {home.name}: {name} of its winner in {path} is {value!r:.40}, expected {each}"
            )
    known = next((name for name, point in space.points.items() if point == winner), f"winner of {home.name}")
    others = {name: point for name, point in space.points.items() if name != known}
    return dataclasses.replace(space, points={known: winner, **others})
