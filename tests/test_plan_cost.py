"""What `--plan` says of the cost that is left, of a sweep that is resumed or extended."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from sweeps.baselines import ROWS
from sweeps.engine.baselines.plan import BaselineSettings, plan_baselines, rows_in_words
from sweeps.engine.main import main
from sweeps.engine.plan_cost import class_epochs_of, cost_left, images_in_all
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import STAGE, stage_start
from sweeps.engine.record.record import SweepRecord
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests.shown_records import begun, better_with_number
from tests.sweep_parts import Sweep, small_plan

EPOCHS = 4
PLAN = small_plan((0, 3), configs=8, epochs=EPOCHS)
CONFIRMED = PLAN.seeds * 2 * EPOCHS


def left(folder: Path, plan: Plan = PLAN, *, is_extended: bool = False) -> dict[str, float]:
    return cost_left(plan, SweepHome(folder), is_extended=is_extended)


def begin_stage(record: SweepRecord, stage: str, class_epochs: float) -> None:
    record.write(STAGE, stage_start(stage, class_epochs, record.all()))


def whole_search(folder: Path, plan: Plan = PLAN) -> SweepRecord:
    record = begun(folder, plan)
    begin_stage(record, "search", plan.budget)
    Sweep(record, better_with_number).run()
    return record


def test_a_sweep_that_has_only_begun_has_all_of_it_left(tmp_path: Path) -> None:
    begun(tmp_path / "new", PLAN)
    assert left(tmp_path / "new") == class_epochs_of(PLAN)
    begun(tmp_path / "grid", grid := make_plan("loss_ablation", SweepSettings(scale="smoke"), GRID))
    assert left(tmp_path / "grid", grid) == class_epochs_of(grid)


@pytest.mark.parametrize("trials", [1, 3])
def test_a_search_has_left_what_its_ladder_has_not_spent(trials: int, tmp_path: Path) -> None:
    record = begun(tmp_path / "a", PLAN)
    begin_stage(record, "search", PLAN.budget)
    Sweep(record, better_with_number).run(trials)
    assert record.ladder.spent > 0
    assert left(tmp_path / "a") == {**class_epochs_of(PLAN), "search": PLAN.budget - record.ladder.spent}


def test_a_confirmation_has_left_what_is_not_on_record(tmp_path: Path) -> None:
    record = whole_search(tmp_path / "a")
    assert left(tmp_path / "a") == {**class_epochs_of(PLAN), "search": 0}
    begin_stage(record, "confirm", 3 * CONFIRMED)  # the default is among the best: one less than the plan allows
    record.write_confirmed(0, 1, {0: 0.5})
    assert left(tmp_path / "a") == {"search": 0, "confirm": 3 * CONFIRMED - EPOCHS}
    begin_stage(record, "confirm", 3 * CONFIRMED - EPOCHS)  # by another driver
    record.write_confirmed(0, 1, {3: 0.5})
    assert left(tmp_path / "a") == {"search": 0, "confirm": 3 * CONFIRMED - 2 * EPOCHS}


def test_an_extension_trains_what_is_new_and_confirms_the_default_no_second_time(tmp_path: Path) -> None:
    record, larger = whole_search(tmp_path / "a"), small_plan((0, 3), configs=24, epochs=EPOCHS)
    best = record.best(1)[0].number
    assert best, "not the default"
    for number in (0, best):
        for seed in PLAN.confirm_seeds:
            record.write_confirmed(number, seed, {0: 0.5, 3: 0.6})
    begin_stage(record, "confirm", 0)
    whole = class_epochs_of(larger)
    assert left(tmp_path / "a", larger, is_extended=True) == {
        "search": whole["search"] - record.ladder.spent,
        "confirm": whole["confirm"] - CONFIRMED,
    }


def test_stages_by_class_follow(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, objective="per-class")
    record, whole = whole_search(tmp_path / "a", plan), class_epochs_of(plan)
    assert list(whole) == ["search", "confirm", "search by class", "confirm by class"]
    begin_stage(record, "search by class", 11)
    assert left(tmp_path / "a", plan) == {**whole, "search": 0, "confirm": 0, "search by class": 11}


def test_images_are_those_of_the_class_epochs() -> None:
    plan = make_plan("gan_loss_weights", SweepSettings(scale="laptop"), SPACE)
    once = len(plan.classes) * plan.search_config.epochs
    assert images_in_all(plan, {"search": once, "confirm": once}) == (120_000, 120_000)
    assert images_in_all(plan, {"search": once, "search by class": once}) == (240_000, 0)


@pytest.mark.usefixtures("elsewhere")
def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--scale", "smoke", "--normal-class", "0,3", "--configs", "8", "--epochs", str(EPOCHS)]

    def printed(*more: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main("gan_loss_weights", "help", SPACE, [*more, "--plan"])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert "  left  " not in printed(*flags)
    record = whole_search(Path("runs/mine"))
    record.write("settings", dataclasses.asdict(SweepSettings(
        scale="smoke", dataset="digits", normal_class=(0, 3), configs=8, epochs=EPOCHS, name="mine"
    )))  # fmt: skip
    assert re.search(
        r"  left       at most 0 images in the search, [1-9]\S* images to confirm\n", printed("--resume", "mine")
    )
    begin_stage(record, "confirm", 0)
    assert "  time       no training is left\n" in printed("--resume", "mine")
    extended = printed("--extend", "mine", "--configs", "24")
    assert re.search(r"  left       at most [1-9]\S* images in the search, [1-9]\S* images to confirm\n", extended)
    assert "  time       training at most about" in extended


def test_a_table_of_baselines_says_how_many_trainings_are_left() -> None:
    settings = BaselineSettings(scale="smoke")
    plan = plan_baselines("baselines", settings, ROWS)
    assert "  left: " not in rows_in_words(plan, settings)
    done = {training.key for training in plan.trainings[1:]}
    epochs = plan.config(plan.trainings[0]).epochs
    assert f"  left: 1 training, at most {epochs} epoch" in rows_in_words(plan, settings, done)
