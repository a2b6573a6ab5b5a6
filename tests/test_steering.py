"""A steered sweep: its plan, its text, its packs, and records with and without the flags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adcore.errors import UserError
from sweeps.engine.main import main
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Choice, LogUniform, Space
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests.refusals import refused
from tests.sweep_parts import Sweep, record_of

STEERED: dict[str, Any] = {
    "scale": "smoke", "normal_class": (0, 3), "configs": 8, "set": ("batch_size=16", "crop=on"),
    "range": ("width=4|8", "abc=0.5:5:log"), "point": ("abc=3,width=4", "learning_rate=0.002"),
}  # fmt: skip


def plan_of(**flags: Any) -> Plan:
    return make_plan("gan_loss_weights", SweepSettings(**{**STEERED, **flags}), SPACE)


def test_the_plan_trains_with_what_is_set_and_searches_what_is_given() -> None:
    plan = plan_of()
    assert (plan.base.batch_size, plan.base.crop, plan.search_config) == (16, True, plan.base)
    assert list(plan.space.ranges) == [*SPACE.ranges, "width"]
    assert (plan.space.ranges["weight_abc"], plan.space.ranges["width"]) == (LogUniform(0.5, 5), Choice((4, 8)))
    others = set(SPACE.ranges) - {"weight_abc"}
    assert {name: plan.space.ranges[name] for name in others} == {name: SPACE.ranges[name] for name in others}


def test_points_come_after_the_default_and_are_completed_by_it() -> None:
    points = plan_of().space.points
    assert list(points) == ["default", "point 1", "point 2", "paper", "reconstruction and ABC alone"]
    default = {**SPACE.points["default"], "width": 8}
    assert points["default"] == default
    assert points["point 1"] == {**default, "weight_abc": 3.0, "width": 4}
    assert points["point 2"] == {**default, "learning_rate": 0.002}


def test_a_point_of_the_script_that_a_range_excludes_is_left_out() -> None:
    plan = plan_of(range=("abc=1:1.9",), point=("abc=1.5",), scale="gpu", configs=None)
    assert list(plan.space.points) == ["point 1"]
    text = plan_in_words(plan, SweepSettings(scale="gpu"))
    assert "first      point 1; without default, which is outside the ranges" in text
    assert "up to 3 configurations" in text


def test_what_is_set_or_searched_counts_in_search_and_confirmation_alike() -> None:
    for flags in ({"set": ("width=4",), "range": ()}, {"set": (), "range": ("width=4|16",)}):
        plan = plan_of(**flags, scale="workstation", point=())
        assert plan.search == {"epochs": 6}


def test_the_plan_in_words_shows_fields_ranges_and_points() -> None:
    settings = SweepSettings(**STEERED)
    text = plan_in_words(plan_of(), settings)
    for part in ("set        batch_size 16, crop True", "weight_abc 0.5-5 log", "width 4|8; sampler tpe",
                 "first      default; point 1; point 2; paper", "point 2    weight_patch 1.5", "learning_rate 0.002",
                 "(width 4|8, batch 16, one-cycle)"):  # fmt: skip
        assert part in text, part


def test_a_sweep_that_is_not_steered_is_as_before() -> None:
    plan = make_plan("gan_loss_weights", SweepSettings(scale="smoke"), SPACE)
    assert plan.space is SPACE
    assert "set  " not in plan_in_words(plan, SweepSettings(scale="smoke"))


def test_a_grid_is_trained_with_what_is_set() -> None:
    plan = make_plan("loss_ablation", SweepSettings(scale="smoke", set=("width=4", "norm=group")), GRID)
    assert (plan.base.width, plan.base.norm, plan.space) == (4, "group", GRID)


def test_weights_that_can_all_be_0_are_refused() -> None:
    given = tuple(f"{name}=0|1" for name in SPACE.ranges if name.startswith("weight_"))
    with pytest.raises(UserError, match="all loss weights in use are 0"):
        plan_of(range=given, point=(), set=("weight_reconstruction=0",))


@pytest.mark.parametrize("slots", [1, 3])
def test_configurations_of_different_shapes_are_searched_in_packs_of_one_kind(slots: int) -> None:
    record = record_of(plan_of(configs=16))
    trials = Sweep(record, lambda number, index, epoch: 0.5 + number / 100, slots=slots).run()
    kinds = [{(part.config.width, part.config.batch_size) for part in trial.parts} for trial in trials]
    assert all(len(kind) == 1 for kind in kinds)
    assert set.union(*kinds) == {(4, 16), (8, 16)}
    assert all(part.config.crop for trial in trials for part in trial.parts)
    assert record.configurations[1].params == record.plan.space.points["point 1"]


def stored(plan: Plan, settings: SweepSettings, *without: str) -> None:
    """The record of a sweep named mine, as a version leaves it that lacks some of the settings."""
    Path("runs/mine").mkdir(parents=True)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    kept = {name: value for name, value in plan.resolved_settings(settings)["settings"].items() if name not in without}
    record.write("settings", json.loads(json.dumps(kept)))
    record.write("plan", plan.as_record())


def resumed(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, ["--resume", "mine", "--plan", *flags])
    out, error = capsys.readouterr()
    assert ended.value.code == 0, error
    return out


@pytest.mark.usefixtures("elsewhere")
def test_a_resumed_sweep_needs_none_of_the_flags_and_accepts_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    settings = SweepSettings(**STEERED, name="mine")
    stored(plan_of(), settings)
    out = resumed(capsys)
    assert "width 4|8; sampler tpe" in out
    assert resumed(capsys, "--set", "batch_size=16", "--set", "crop=on") == out
    for flags, line in (
        (["--set", "width=4"], "started with --set batch_size=16; crop=on, not width=4; omit --set"),
        (["--range", "width=4|16"], "started with --range width=4|8; abc=0.5:5:log, not width=4|16; omit --range"),
        (["--point", "abc=3"], "not abc=3; omit --point"),
    ):
        assert line in refused(["--resume", "mine", *flags], capsys, left=("notes.txt", "runs"))


@pytest.mark.usefixtures("elsewhere")
def test_a_record_from_before_the_flags_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    settings = SweepSettings(scale="smoke", name="mine")
    stored(make_plan("gan_loss_weights", settings, SPACE), settings, "set", "range", "point")
    assert "4 configurations" in resumed(capsys)
    line = refused(["--resume", "mine", "--set", "width=4"], capsys, left=("notes.txt", "runs"))
    assert "started without --set, not with width=4" in line


@pytest.mark.usefixtures("elsewhere")
def test_a_record_from_before_a_setting_of_the_trainings_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    settings = SweepSettings(scale="smoke", name="mine")
    plan = make_plan("gan_loss_weights", settings, SPACE)
    stored(plan, settings)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    before = json.loads(json.dumps(plan.as_record()))
    del before["base"]["image_size"]
    record.write("plan", before)
    assert "4 configurations" in resumed(capsys)
    before["base"]["width"] += 1
    record.write("plan", before)
    assert "other settings of: base" in refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("scale", ["laptop", "workstation", "gpu"])
def test_a_sweep_keeps_its_scale_as_it_was(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = SweepSettings(scale=scale, name="mine", normal_class=(0, 3))
    plan = make_plan("gan_loss_weights", settings, SPACE)
    stored(plan, settings)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    assert "reconstruction error + 1 x latent distance" in resumed(capsys)
    before = json.loads(json.dumps(plan.as_record()))
    for latent in (0.0, None):  # another value than today's, and a record that is older than the setting
        before["base"].pop("score_latent", None)
        before["base"] |= {} if latent is None else {"score_latent": latent}
        record.write("plan", {**before, "best": before["best"] + 1})
        text = resumed(capsys)
        assert "score      reconstruction error" in text
        assert "latent distance" not in text
        assert f"up to {before['best'] + 2 + plan.paper} configurations" in text


@pytest.mark.usefixtures("elsewhere")
def test_a_record_with_settings_of_a_later_version_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    settings = SweepSettings(scale="smoke", name="mine")
    plan = make_plan("gan_loss_weights", settings, SPACE)
    stored(plan, settings)
    record_of(plan, path=Path("runs/mine/study.db").resolve()).write("settings", {**vars(settings), "later": 1})
    assert "another version" in refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("damage", [{"set": 3}, {"range": [1]}, {"point": "abc=3"}])
def test_damaged_flags_on_record_are_named(damage: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    settings = SweepSettings(scale="smoke", name="mine")
    plan = make_plan("gan_loss_weights", settings, SPACE)
    stored(plan, settings)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    record.write("settings", {**vars(settings), **damage})
    assert "study.db: damaged" in refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))


WITHOUT = {"scale": "smoke", "protocol": "one-class"}
OF_ANOMALIES = {"weight_adversarial_anomaly", "weight_abc"}


def test_weights_of_losses_on_anomalies_are_not_searched_where_training_sees_none() -> None:
    plan = make_plan("gan_loss_weights", SweepSettings(**WITHOUT), SPACE)
    assert set(SPACE.ranges) - set(plan.space.ranges) == OF_ANOMALIES
    assert list(plan.space.points) == list(SPACE.points)
    assert all(set(point) == set(plan.space.ranges) for point in plan.space.points.values())
    makes = SweepSettings(**WITHOUT, set=("pseudo_anomalies=all",))
    assert make_plan("gan_loss_weights", makes, SPACE).space is SPACE


def test_a_sweep_on_record_goes_on_with_what_it_searched() -> None:
    kept = make_plan("gan_loss_weights", SweepSettings(**WITHOUT), SPACE, kept=list(SPACE.ranges))
    assert kept.space is SPACE


@pytest.mark.parametrize(
    "flags",
    [
        {"range": ("abc=1:5",)},
        {"point": ("abc=3",)},
        {"range": ("pseudo_share=0.2:0.8",)},
        {"range": ("pseudo_share=0.2:0.8",), "set": ("pseudo_anomalies=all",)},
        {"range": ("pseudo_share=0.2:0.8",), "protocol": "paper"},
    ],
)
def test_what_would_change_nothing_is_refused(flags: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^--(range|point) .*it changes nothing; leave it out$"):
        make_plan("gan_loss_weights", SweepSettings(**{**WITHOUT, **flags}), SPACE)


def test_a_space_of_nothing_but_such_weights_is_refused_unless_a_range_adds_to_it() -> None:
    alone = Space({"weight_abc": LogUniform(0.1, 1)}, {"default": {"weight_abc": 0.5}})
    with pytest.raises(UserError, match=r"^nothing to search: weight_abc: under --protocol one-class"):
        make_plan("mine", SweepSettings(**WITHOUT), alone)
    added = make_plan("mine", SweepSettings(**WITHOUT, range=("width=4|8",)), alone)
    assert list(added.space.ranges) == ["width"]
