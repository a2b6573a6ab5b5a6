"""The loss ablation: each variant is what its name says, and a grid is trained whole, in order and nothing beyond."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.errors import UserError
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.confirmation import confirmations, references
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.confirm_search import ConfirmSearch
from sweeps.loss_ablation import SPACE
from tests.sweep_parts import Sweep, record_of

EVERY = set(LOSS_WEIGHTS)
#: Losses that are in use, by variant.
USED = {
    "all six losses": EVERY,
    "without reconstruction": EVERY - {"reconstruction"},
    "without patch": EVERY - {"patch"},
    "without latent": EVERY - {"latent"},
    "without adversarial_normal": EVERY - {"adversarial_normal"},
    "without adversarial_anomaly": EVERY - {"adversarial_anomaly"},
    "without abc": EVERY - {"abc"},
    "reconstruction + ABC alone": {"reconstruction", "abc"},
    "reconstruction + ABC + patch": {"reconstruction", "abc", "patch"},
    "reconstruction + ABC + latent": {"reconstruction", "abc", "latent"},
    "reconstruction + ABC + adversarial_normal": {"reconstruction", "abc", "adversarial_normal"},
    "reconstruction + ABC + adversarial_anomaly": {"reconstruction", "abc", "adversarial_anomaly"},
}
POINTS = list(SPACE.points.values())


def grid_plan(**flags: Any) -> Plan:
    return make_plan("loss_ablation", SweepSettings(scale="smoke", normal_class=(0, 3), **flags), SPACE)


def test_the_twelve_variants_are_the_ones_written_here_the_default_first() -> None:
    assert len(USED) == 12
    assert list(SPACE.points) == list(USED)
    assert next(iter(SPACE.points)) == SPACE.default


@pytest.mark.parametrize("name", USED)
def test_a_variant_has_the_losses_of_its_name_with_their_default_weights(name: str) -> None:
    default = TrainConfig().weights
    weights: dict[str, Any] = dict(SPACE.points[name])
    config = TrainConfig(**weights)
    assert {loss for loss, weight in config.weights.items() if weight} == USED[name]
    assert all(config.weights[loss] == default[loss] > 0 for loss in USED[name])
    assert dataclasses.replace(config, **SPACE.points[SPACE.default]) == TrainConfig(), "and differs in nothing else"


def test_no_two_variants_are_alike() -> None:
    assert len({tuple(point.items()) for point in POINTS}) == 12


def test_a_grid_has_its_own_number_of_configurations() -> None:
    assert SPACE.is_grid
    assert grid_plan().configs == 12
    assert SPACE.names == [f"weight_{name}" for name in LOSS_WEIGHTS]
    with pytest.raises(UserError, match=r"^--configs 5: this script trains each of its 12 points; leave it out$"):
        grid_plan(configs=5)


def test_the_plan_of_a_grid_tells_of_no_search() -> None:
    settings = SweepSettings(scale="laptop")
    text = plan_in_words(make_plan("loss_ablation", settings, SPACE), settings)
    assert "up to 12 configurations x 2 fresh seeds" in text
    assert "in the search" not in text
    assert "searched" not in text
    assert "stopped" not in text


@pytest.mark.parametrize("asked", [0, 1, 5, 12])
def test_every_point_is_opened_in_order_also_where_a_driver_was_killed_on_the_way(tmp_path: Path, asked: int) -> None:
    plan, path = grid_plan(), tmp_path / "study.db"
    record = record_of(plan, path=path)
    for number in range(asked):
        record.propose(number)
    for _ in range(2):
        again = record_of(plan, path=path)
        opened = again.open_grid()
        assert [(each.number, each.params) for each in opened] == list(enumerate(POINTS))
        assert len(again.study.get_trials()) == 12
    assert references(again) == {SPACE.default: again.configurations[0]}


def test_a_grid_is_never_asked_beyond_its_points() -> None:
    record = record_of(grid_plan())
    record.open_grid()
    record.open_grid()
    assert len(record.configurations) == len(record.study.get_trials()) == 12


def test_every_point_is_trained_with_every_fresh_seed_and_its_own_weights(tmp_path: Path) -> None:
    plan = dataclasses.replace(grid_plan(), seeds=2)
    record = record_of(plan)
    search = ConfirmSearch("confirm", [(record, record.open_grid())], SweepHome(tmp_path), limit=4, slots=2)
    sweep = Sweep(record, lambda number, index, epoch: 0.5, search=search)
    parts = [part for trial in sweep.run() for part in trial.parts]
    assert len(parts) == 24
    for place, part in enumerate(parts):
        point = POINTS[part.configuration]
        assert {name: getattr(part.config, name) for name in point} == point
        assert part.config.classes == plan.classes
        assert (part.configuration, part.config.train_seed) == (place // 2, plan.confirm_seeds[place % 2])


def test_nothing_wins_a_grid() -> None:
    record = record_of(grid_plan())
    points = record.open_grid()
    for each in points:
        record.write_confirmed(each.number, 1, dict.fromkeys(record.plan.classes, 0.5 + each.number / 100))
    assert [each.number for each in confirmations(record, points)] == list(range(12))
