"""From flags to a plan: scales, rungs, groups; and the main sweep's space fits TrainConfig."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from optuna.distributions import FloatDistribution
from sweep_parts import Sweep, record_of, small_plan

from adcore.config import TrainConfig
from adcore.datasets import DATASETS, ImageDataset
from adcore.device import has_cuda_device
from adcore.errors import UserError
from adcore.exposure import PROTOCOLS
from adcore.train import train
from sweeps.engine.plan import describe, groups_of, make_plan, members_per_trial
from sweeps.engine.settings import SCALES, SweepSettings
from sweeps.engine.trial import checkpoint_path, train_config, trial_config
from sweeps.gan_loss_weights import SPACE

# data, width, batch, images per class, validation images, configurations, epochs, grace, reduction,
# best k, seeds, paper's weights, schedule, augmentations: one column of design section 6 each, for the confirmation
FLIP, ALL = (
    {"horizontal_flip"},
    {"horizontal_flip", "vertical_flip", "crop", "rotate"},
)
FIGURES = {
    "smoke": ("digits", 8, 32, None, None, 3, 2, 1, 2, 1, 1, False, "one-cycle", FLIP),
    "laptop": ("fashion-mnist", 8, 64, 1500, 2500, 8, 4, 2, 3, 1, 2, False, "one-cycle", FLIP),
    "workstation": ("fashion-mnist", 16, 64, None, None, 16, 10, 2, 3, 1, 2, False, "one-cycle", FLIP),
    "gpu": ("fashion-mnist", 64, 256, None, None, 64, 27, 10, 3, 3, 3, True, "one-cycle", FLIP),
    "paper": ("fashion-mnist", 64, 1, None, None, 32, 300, 30, 3, 3, 3, True, "halve-every-50", ALL),
}
#: In what the trainings of the search differ from it.
SEARCHED = {"workstation": {"width": 8, "epochs": 6}}
#: Scales that draw anomalies anew in each epoch, and score mirror images as well.
FRESH = {"workstation", "gpu"}


def _plan(**flags: object):
    return make_plan("gan_loss_weights", SweepSettings(**flags), SPACE)  # type: ignore[arg-type]


def test_every_scale_has_its_figures_here() -> None:
    assert set(SCALES) == set(FIGURES)


@pytest.mark.parametrize("scale", FIGURES)
def test_scales_stand_for_the_designs_figures(scale: str) -> None:
    plan = _plan(scale=scale)
    base = plan.base
    on = {name for name in ALL if getattr(base, name)}
    assert (
        base.dataset, base.width, base.batch_size, base.images_per_class, base.validation_images,
        plan.configs, base.epochs, plan.grace, plan.reduction, plan.best, plan.seeds, plan.paper, base.schedule, on,
    ) == FIGURES[scale]  # fmt: skip
    assert set(plan.classes) == set(range(10))
    assert (base.draws == "each-epoch", base.mirrored_scores) == (scale in FRESH, scale in FRESH)
    assert plan.search == SEARCHED.get(scale, {})
    assert plan.searched == dataclasses.replace(base, **SEARCHED.get(scale, {}))


@pytest.mark.parametrize(
    ("scale", "epochs", "rungs"),
    [("smoke", None, [1]), ("laptop", None, [2]), ("workstation", None, [2]), ("gpu", None, [10]),
     ("paper", None, [30, 90, 270]), ("gpu", 81, [30]), ("gpu", 28, [10]),
     ("smoke", 1, []), ("paper", 20, [2, 6, 18])],
)  # fmt: skip
def test_rungs_are_whole_epochs_before_the_last(scale: str, epochs: int | None, rungs: list[int]) -> None:
    plan = _plan(scale=scale, epochs=epochs)
    assert plan.rungs == rungs
    milestones = Sweep(record_of(plan)).asha.milestones
    assert {epoch for epoch in milestones if epoch < plan.searched.epochs} == set(rungs), (
        "what --plan prints is what stops"
    )


def test_flags_go_before_the_scale() -> None:
    plan = _plan(scale="smoke", dataset="mnist", epochs=5, configs=7, seed=4, normal_class=(6, 0))
    assert (plan.base.dataset, plan.base.epochs, plan.configs, plan.base.classes) == ("mnist", 5, 7, (6, 0))
    assert (plan.search_seed, plan.base.train_seed, plan.base.split_seed) == (4, 4, 0)


def test_confirm_seeds_are_fresh() -> None:
    plan = dataclasses.replace(_plan(scale="gpu", seed=5), seeds=3)
    assert len(set(plan.confirm_seeds)) == 3
    assert plan.base.train_seed not in plan.confirm_seeds


@pytest.mark.parametrize("name", DATASETS)
def test_a_split_block_takes_every_class_once_in_an_order_that_the_flags_do_not_change(name: str) -> None:
    count = len(DATASETS[name].class_names)
    whole = _plan(scale="smoke", dataset=name)
    assert sorted(whole.classes) == list(range(count))
    chosen = tuple(range(count))[::-2]
    assert _plan(scale="smoke", dataset=name, normal_class=chosen).classes == tuple(
        index for index in whole.classes if index in chosen
    )
    assert DATASETS[name].smallest_class > 0


def test_groups_cut_the_classes_in_order() -> None:
    assert groups_of((6, 0, 3, 1), 2) == [(6, 0), (3, 1)]
    assert groups_of((6, 0, 3), 3) == [(6, 0, 3)]
    assert groups_of((6, 0, 3), 1) == [(6,), (0,), (3,)]


@pytest.mark.parametrize("size", [0, -1, 3, 4, 11])
def test_a_group_size_that_does_not_divide_names_those_that_do(size: int) -> None:
    with pytest.raises(UserError, match=rf"--members-per-trial {size}: .*10 classes \(1, 2, 5, 10\)"):
        groups_of(tuple(range(10)), size)


@pytest.mark.parametrize(
    ("configs", "slots", "size"),
    [(8, 2, 10), (8, 8, 10), (8, 9, 5), (8, 16, 5), (8, 17, 2), (8, 40, 2), (8, 41, 1), (1, 99, 1)],
)  # fmt: skip
def test_auto_takes_whole_blocks_where_they_fill_the_slots_else_the_largest_groups_that_do(
    configs: int, slots: int, size: int
) -> None:
    settings = SweepSettings(scale="smoke", configs=configs)
    plan = make_plan("gan_loss_weights", settings, SPACE)
    assert members_per_trial(plan, settings, slots) == size


def test_a_given_size_is_taken_whatever_the_slots() -> None:
    settings = SweepSettings(scale="smoke", members_per_trial="5")
    plan = make_plan("gan_loss_weights", settings, SPACE)
    assert [members_per_trial(plan, settings, slots) for slots in (1, 99)] == [5, 5]


def test_the_space_names_fields_of_train_config_and_its_points_lie_within() -> None:
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    assert len(SPACE.ranges) == 6
    assert set(SPACE.ranges) <= fields
    assert len(SPACE.points) == 3
    assert next(iter(SPACE.points)) == SPACE.default
    assert SPACE.paper in SPACE.points
    for point in SPACE.points.values():
        assert set(point) == set(SPACE.ranges)
        assert all(SPACE.ranges[name].low <= value <= SPACE.ranges[name].high for name, value in point.items())


def test_the_space_is_the_designs() -> None:
    bounds = {name: (each.low, each.high) for name, each in SPACE.ranges.items()}
    assert bounds == {
        "weight_patch": (0.01, 5), "weight_latent": (0.01, 5), "weight_adversarial_normal": (0.001, 1),
        "weight_adversarial_anomaly": (0.001, 1), "weight_abc": (0.1, 10), "learning_rate": (3e-4, 5e-3),
    }  # fmt: skip
    assert all(isinstance(d, FloatDistribution) and d.log for d in SPACE.distributions().values())
    assert list(SPACE.points["paper"].values())[:5] == [1.5, 0.5, 0.5, 1.0, 0.5]


def test_the_default_point_is_the_packages_default() -> None:
    default = TrainConfig()
    assert SPACE.points[SPACE.default] == {name: getattr(default, name) for name in SPACE.ranges}


@pytest.mark.parametrize("search", [{}, {"width": 4, "images_per_class": 20}])
def test_what_is_sampled_is_what_is_trained_with(search: dict[str, int]) -> None:
    plan = dataclasses.replace(small_plan((6, 0, 3), configs=6), search=search)
    sweep = Sweep(record_of(plan, size=1))
    seen = 0
    while trial := sweep.start():
        block = sweep.record.blocks[trial.config["configuration"]]
        settings = {**search, **block.params, "classes": sweep.record.groups[trial.config["group"]]}
        expected = dataclasses.replace(plan.base, **settings)
        assert train_config(trial.config) == expected
        seen += 1
    assert seen == 18


def test_a_trials_configuration_holds_every_setting_and_survives_json() -> None:
    base = _plan(scale="paper").base
    changes = {"classes": (3,), "train_seed": 7, **SPACE.points["paper"]}
    config = trial_config(base, configuration=4, group=2, **changes)
    assert set(config) == {field.name for field in dataclasses.fields(TrainConfig)} | {"configuration", "group"}
    assert train_config(json.loads(json.dumps(config))) == dataclasses.replace(base, **changes)


def test_a_checkpoint_is_found_by_what_it_is() -> None:
    paths = {
        checkpoint_path("home", number, classes, seed)
        for number in (0, 1) for classes in ((0,), (0, 1), (1,)) for seed in (0, 1)
    }  # fmt: skip
    assert len(paths) == 12


def test_the_plans_record_is_plain_and_tells_every_difference() -> None:
    one, other = _plan(scale="smoke"), _plan(scale="smoke", epochs=3)
    record = one.as_record()
    assert json.loads(json.dumps(record))["base"]["classes"] == list(range(10))
    assert [name for name in record if record[name] != other.as_record()[name]] == ["base"]


def test_a_plan_in_words_tells_what_would_run() -> None:
    settings = SweepSettings(scale="laptop", normal_class=(0, 3), configs=5, name="mine")
    text = describe(make_plan("gan_loss_weights", settings, SPACE), settings)
    for part in ("nothing is run", "fashion-mnist", "classes 0,3", "5 configurations x 2 classes x 4 epochs",
                 "epochs 2 (1 of 3", "2 configurations x 2 fresh seeds", "runs/mine", "weight_abc 0.1-10"):  # fmt: skip
        assert part in text, part
    assert "0.1 M images in the search" in text  # 5 x 2 x 4 x (1500 + 1500) = 120,000


@pytest.mark.parametrize("protocol", ["paper", "seen-unseen", "leave-one-out"])
def test_a_plan_counts_about_as_many_images_as_training_takes(protocol: str, digits_train: ImageDataset) -> None:
    settings = SweepSettings(scale="smoke", protocol=protocol, normal_class=(0,), epochs=1)
    plan = make_plan("gan_loss_weights", settings, SPACE)
    counted = re.search(r"fresh seeds x 1 classes x 1 epochs x 2 x (\d+) images", describe(plan, settings))
    assert counted
    config = dataclasses.replace(plan.base, detector="random")
    taken = train(config, lambda _: None, data=digits_train).images_per_epoch
    assert 0.75 * taken <= 2 * int(counted[1]) <= 1.25 * taken


def test_a_hidden_gpu_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not has_cuda_device()
        assert _plan().scale == "laptop"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_takes_every_protocol(scale: str, protocol: str) -> None:
    plan = _plan(scale=scale, protocol=protocol, normal_class=(0,))
    assert plan.base.protocol == plan.searched.protocol == protocol
