"""From flags to a plan: scales, ladder, classes; and the main sweep's space fits TrainConfig."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from adcore.config import TrainConfig
from adcore.datasets import DATASETS
from adcore.detectors import DETECTORS
from adcore.errors import UserError
from adcore.protocols.definitions import HELD_OUT, PROTOCOLS
from adcore.system.device import has_cuda_device
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SCALES, SweepSettings
from sweeps.engine.planning.space import Choice, Integers, LogUniform, Uniform
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.trial import Part, parts_of, trial_config
from sweeps.gan_loss_weights import SPACE
from tests.sweep_parts import record_of

AUGMENTATIONS = ("horizontal_flip", "vertical_flip", "crop", "rotate")


def _plan(**flags: object):
    return make_plan("gan_loss_weights", SweepSettings(**flags), SPACE)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", SCALES)
def test_a_plan_has_what_its_scale_names_and_the_default_of_everything_else(scale: str) -> None:
    plan, named = _plan(scale=scale), SCALES[scale]
    assert plan.base == TrainConfig(**named.train)
    assert plan.classes == tuple(range(10))
    assert plan.search_config == dataclasses.replace(plan.base, **named.search)
    assert (plan.configs, plan.best, plan.seeds, plan.paper) == (named.configs, named.best, named.seeds, named.paper)


def test_each_scale_trains_longer_than_the_one_before_it() -> None:
    epochs = [_plan(scale=scale).base.epochs for scale in ("smoke", "laptop", "workstation", "gpu", "paper")]
    assert len(epochs) == len(SCALES)
    assert epochs == sorted(set(epochs))


def test_laptop_workstation_and_gpu_score_with_the_latent_distance_and_the_paper_without() -> None:
    weights = {scale: _plan(scale=scale).base.score_latent for scale in SCALES}
    assert weights == {"smoke": 0, "laptop": 1, "workstation": 1, "gpu": 1, "paper": 0}


def test_workstation_and_gpu_draw_anomalies_anew_in_each_epoch_and_score_mirror_images_as_well() -> None:
    bases = {scale: _plan(scale=scale).base for scale in SCALES}
    assert {scale for scale, base in bases.items() if base.draws == "each-epoch"} == {"workstation", "gpu"}
    assert {scale for scale, base in bases.items() if base.mirrored_scores} == {"workstation", "gpu"}


def test_the_papers_scale_trains_as_the_paper_does_and_confirms_its_weights() -> None:
    plan = _plan(scale="paper")
    base = plan.base
    assert (base.batch_size, base.epochs, base.schedule, base.images_per_class) == (1, 300, "halve-every-50", None)
    assert all(getattr(base, name) for name in AUGMENTATIONS)
    assert plan.paper
    others = [_plan(scale=scale).base for scale in SCALES if scale != "paper"]
    assert {name for base in others for name in AUGMENTATIONS if getattr(base, name)} == {"horizontal_flip"}


def test_a_searchs_trainings_are_no_larger_than_the_confirmations() -> None:
    plans = [_plan(scale=scale) for scale in SCALES]
    assert [plan.scale for plan in plans if plan.search] == ["workstation"]
    for plan in plans:
        assert all(value < getattr(plan.base, name) for name, value in plan.search.items())


@pytest.mark.parametrize(
    ("flags", "rungs"),
    [
        ({"scale": "smoke"}, [(1, 1), (2, 2), (5, 2), (10, 2)]),
        ({"scale": "laptop"}, [(1, 2), (2, 4), (5, 4), (10, 4)]),
        ({"scale": "workstation"}, [(1, 4), (2, 6), (5, 6), (10, 6)]),
        ({"scale": "gpu"}, [(1, 17), (2, 27), (5, 27), (10, 27)]),
        ({"scale": "gpu", "normal_class": (6,)}, [(1, 17), (1, 27)]),
        ({"scale": "gpu", "epochs": 1}, [(1, 1), (2, 1), (5, 1), (10, 1)]),
    ],
)
def test_the_ladder_is_over_the_searchs_classes_and_epochs(flags: dict[str, Any], rungs: list[tuple[int, int]]) -> None:
    plan = _plan(**flags)
    assert [(rung.classes, rung.epochs) for rung in plan.rungs] == rungs
    assert record_of(plan).ladder.rungs == plan.rungs


def test_flags_go_before_the_scale() -> None:
    plan = _plan(scale="smoke", dataset="mnist", epochs=5, configs=7, seed=4, normal_class=(6, 0))
    assert (plan.base.dataset, plan.base.epochs, plan.configs, plan.base.classes) == ("mnist", 5, 7, (6, 0))
    assert (plan.search_seed, plan.base.train_seed, plan.base.split_seed) == (4, 4, 0)


def test_confirm_seeds_are_fresh() -> None:
    plan = dataclasses.replace(_plan(scale="gpu", seed=5), seeds=3)
    assert len(set(plan.confirm_seeds)) == 3
    assert plan.base.train_seed not in plan.confirm_seeds


@pytest.mark.parametrize("name", DATASETS)
def test_the_order_of_the_classes_is_known_of_the_papers_protocol_or_not_at_all(name: str) -> None:
    plan, known = _plan(scale="smoke", dataset=name), DATASETS[name].hardest_first
    assert plan.class_order == (known or ())
    assert sorted(known or range(10)) == list(plan.classes)
    some = _plan(scale="smoke", dataset=name, normal_class=(1, 6, 3))
    assert some.class_order == tuple(index for index in known or () if index in (1, 6, 3))
    assert _plan(scale="smoke", dataset=name, normal_class=(1,)).class_order == (1,)
    assert _plan(scale="smoke", dataset=name, protocol="seen-unseen").class_order == ()
    assert DATASETS[name].smallest_class > 0


def test_finding_the_order_is_paid_for() -> None:
    known, unknown = _plan(scale="laptop"), _plan(scale="laptop", protocol="seen-unseen")
    assert known.class_order_cost == 0
    assert unknown.class_order_cost == 9 * 2
    assert unknown.budget == known.budget + 18


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"ranges": {"rate": LogUniform(1e-3, 1e-2)}}, "unknown field of a search 'rate'"),
        ({"ranges": {"epochs": Integers(1, 4)}}, "unknown field of a search 'epochs'"),
        ({"ranges": {"width": Integers(0, 4)}}, "--width 0"),
        ({"ranges": {"norm": Choice(("batch", "none"))}}, "unknown norm 'none'"),
        ({"ranges": {"width": Choice((4, 8))}, "points": {"default": {"width": 6}}}, "point 'default': width is 6"),
        ({"ranges": {"width": Choice((4, 8))}, "points": {"default": {"norm": "batch"}}}, "point 'default': expected"),
    ],
)
def test_a_space_is_checked_when_the_sweep_is_planned(changes: dict[str, Any], line: str) -> None:
    space = dataclasses.replace(SPACE, **{"points": {}, **changes})
    with pytest.raises(UserError) as refused:
        make_plan("gan_loss_weights", SweepSettings(scale="smoke"), space)
    assert line in str(refused.value)


def test_integers_and_choices_are_proposed_as_such() -> None:
    ranges = {
        "width": Choice((4, 8)), "batch_size": Integers(2, 64, step=2), "dropout": Uniform(0, 0.5),
        "learning_rate": LogUniform(1e-3, 1e-2),
    }  # fmt: skip
    space = dataclasses.replace(SPACE, ranges=ranges, points={})
    record = record_of(make_plan("gan_loss_weights", SweepSettings(scale="smoke", configs=12), space))
    for number in range(12):
        params = record.propose(number).params
        assert all(ranges[name].holds(value) for name, value in params.items())
        assert [type(params[name]) for name in ranges] == [int, int, float, float]


def test_the_space_names_fields_of_train_config_and_its_points_lie_within() -> None:
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    assert len(SPACE.ranges) == 6
    assert set(SPACE.ranges) <= fields
    assert len(SPACE.points) == 3
    assert next(iter(SPACE.points)) == SPACE.default
    assert SPACE.paper in SPACE.points
    for point in SPACE.points.values():
        assert set(point) == set(SPACE.ranges)
        assert all(SPACE.ranges[name].holds(value) for name, value in point.items())


def test_the_space_is_the_detectors_own_on_a_log_scale_and_tries_the_papers_weights() -> None:
    assert {name: (each.low, each.high) for name, each in SPACE.ranges.items()} == DETECTORS["gan"].search
    assert all(isinstance(d, FloatDistribution) and d.log for d in SPACE.distributions().values())
    weights = {name: value for name, value in SPACE.points["paper"].items() if name.startswith("weight_")}
    assert weights == {
        "weight_patch": 1.5, "weight_latent": 0.5, "weight_adversarial_normal": 0.5, "weight_adversarial_anomaly": 1.0,
        "weight_abc": 0.5,
    }  # fmt: skip


def test_the_default_point_is_the_packages_default() -> None:
    default = TrainConfig()
    assert SPACE.points[SPACE.default] == {name: getattr(default, name) for name in SPACE.ranges}


def test_a_trials_configuration_holds_every_setting_and_survives_json() -> None:
    base = dataclasses.replace(_plan(scale="paper").base, classes=(3,), train_seed=7, **SPACE.points["paper"])
    parts = [Part(4, base, start=2), Part(5, dataclasses.replace(base, classes=(0, 6)))]
    config = trial_config(parts, until=5)
    assert parts_of(json.loads(json.dumps(config))) == parts_of(config) == parts
    assert config["until"] == 5


def test_a_checkpoint_is_found_by_what_it_is() -> None:
    paths = {
        SweepHome(Path("home")).checkpoint(number, index, seed)
        for number in (0, 1) for index in (0, 1, 2) for seed in (0, 1)
    }  # fmt: skip
    assert len(paths) == 12


def test_the_plans_record_is_plain_and_tells_every_difference() -> None:
    one, other = _plan(scale="smoke"), _plan(scale="smoke", epochs=3)
    record = one.as_record()
    assert json.loads(json.dumps(record))["base"]["classes"] == list(range(10))
    assert [name for name in record if record[name] != other.as_record()[name]] == ["base", "rungs"]


def test_a_hidden_gpu_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not has_cuda_device()
        assert _plan().scale == "laptop"


@pytest.mark.parametrize("protocol", [each for each in PROTOCOLS if each != HELD_OUT])
@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_takes_every_protocol(scale: str, protocol: str) -> None:
    plan = _plan(scale=scale, protocol=protocol, normal_class=(0,))
    assert plan.base.protocol == plan.search_config.protocol == protocol


def test_classes_are_on_record_by_index_however_they_were_named() -> None:
    settings = SweepSettings(scale="laptop", dataset="fashion-mnist", normal_class=("Shirt", "3", 0))
    plan = make_plan("script", settings, SPACE)
    assert plan.base.classes == (6, 3, 0)
    assert plan.resolved_settings(settings)["settings"]["normal_class"] == (6, 3, 0)
    everything = SweepSettings(scale="laptop")
    assert make_plan("script", everything, SPACE).resolved_settings(everything)["settings"]["normal_class"] == ()
