"""--start-from: the winner of one sweep is the first configuration of another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.engine.planning.start_from import start_from
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID

WINNER = {**SPACE.points["default"], "weight_abc": 3.5}


def left(folder: Path, winner: object) -> Path:
    """A finished sweep's results."""
    (folder / "results.json").write_text(json.dumps({"winner": winner}))
    return folder / "results.json"


def test_the_winner_comes_first_and_the_other_points_behind(tmp_path: Path) -> None:
    space = start_from(SPACE, left(tmp_path, {"configuration": 7, **WINNER}))
    assert list(space.points) == [f"winner of {tmp_path.name}", *SPACE.points]
    assert next(iter(space.points.values())) == WINNER
    assert (space.ranges, space.default, space.paper) == (SPACE.ranges, SPACE.default, SPACE.paper)


def test_a_winner_that_is_a_point_keeps_its_name_and_is_tried_once(tmp_path: Path) -> None:
    space = start_from(SPACE, left(tmp_path, {"configuration": 1, **SPACE.points["paper"]}))
    assert list(space.points) == ["paper", "default", "reconstruction and ABC alone"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, True, "2", None, 99.0, 10**400])
def test_a_winner_beyond_the_ranges_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(UserError, match=r"weight_abc of its winner in .* expected 0\.1-10"):
        start_from(SPACE, left(tmp_path, {**WINNER, "weight_abc": value}))


@pytest.mark.parametrize("winner", [{"width": 8}, {**WINNER, "more": 1.0}, {}])
def test_a_winner_of_other_fields_is_refused(tmp_path: Path, winner: dict[str, object]) -> None:
    with pytest.raises(UserError, match="other fields"):
        start_from(SPACE, left(tmp_path, winner))


@pytest.mark.parametrize("content", ["", "[" * 100_000, "[]", "{}", '{"winner": 3}', '{"winner": null}'])
def test_what_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError, match="no results of a finished sweep"):
        start_from(SPACE, tmp_path / "results.json")


def test_a_grid_has_its_own_points_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its own points"):
        start_from(GRID, left(tmp_path, {"configuration": 0, **WINNER}))


def test_weights_that_a_sweep_without_anomalies_did_not_search_are_the_defaults(tmp_path: Path) -> None:
    searched = {
        name: value for name, value in WINNER.items() if name not in ("weight_abc", "weight_adversarial_anomaly")
    }
    space = start_from(SPACE, left(tmp_path, {"configuration": 7, **searched, "weight_patch": 0.3}))
    assert next(iter(space.points.values())) == {**SPACE.points["default"], "weight_patch": 0.3}
