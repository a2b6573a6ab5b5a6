"""--start-from: the winner of a finished sweep as the first configuration of another one, perhaps on other data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from adcore.errors import UserError
from sweeps.engine.planning.labels import point_name
from sweeps.engine.planning.overrides import WEIGHT
from sweeps.engine.planning.space import Space

__all__ = ["start_from"]


def start_from(space: Space, results: Path) -> Space:
    """The space with the winner of a finished sweep before its other points. results: its results.json.

    Raises UserError if there is none, or if it has other fields than this space.
    """
    if space.is_grid:
        raise UserError("--start-from: this script trains only its own points")
    sweep = results.parent.name
    try:
        winner = dict(json.loads(results.read_text())["winner"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # missing, or not a sweep's
        raise UserError(f"--start-from {sweep}: no results of a finished sweep in {results}") from error
    winner.pop("configuration", None)
    default = space.points.get(space.default, {})
    for name in set(space.names) - set(winner):  # of a sweep without anomalies, which did not search all weights
        if name.startswith(WEIGHT) and name in default:
            winner[name] = default[name]
    if set(winner) != set(space.names):
        raise UserError(f"--start-from {sweep}: its winner has other fields ({', '.join(winner)}) than this sweep")
    for name, value in winner.items():
        field_range = space.ranges[name]
        if not field_range.holds(value):
            raise UserError(
                f"--start-from {sweep}: {name} of its winner in {results} is {value!r:.40}, expected {field_range}"
            )
    winner_name = point_name(winner, space) or f"winner of {sweep}"
    others = {name: point for name, point in space.points.items() if name != winner_name}
    return dataclasses.replace(space, points={winner_name: winner, **others})
