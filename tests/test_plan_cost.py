"""What `--plan` says of the cost that is left, of a sweep that is resumed or extended."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.baselines import ROWS
from sweeps.engine import plan_time
from sweeps.engine.baselines.plan import BaselineSettings, plan_baselines, rows_in_words
from sweeps.engine.main import main
from sweeps.engine.plan_cost import Left, class_epochs_of, images_in_all, left_of
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.plan_time import limit_in_words
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.clock import CHOSEN
from sweeps.engine.record.confirmation import candidates
from sweeps.engine.record.extend import extend_record
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import CLOCK
from sweeps.engine.record.record import SweepRecord
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests.shown_records import begun, better_with_number
from tests.sweep_parts import Sweep, record_of, small_plan

EPOCHS = 4
PLAN = small_plan((0, 3), configs=8, epochs=EPOCHS)
LARGER = small_plan((0, 3), configs=24, epochs=EPOCHS)
WHOLE = class_epochs_of(PLAN)
CONFIRMED = PLAN.seeds * 2 * EPOCHS


def left(folder: Path, plan: Plan = PLAN, *, is_extended: bool = False) -> dict[str, float]:
    return dict(left_of(plan, SweepHome(folder), is_extended=is_extended).class_epochs)


def whole_search(folder: Path, plan: Plan = PLAN) -> SweepRecord:
    record = begun(folder, plan)
    Sweep(record, better_with_number).run()
    return record


def confirm(record: SweepRecord, number: int) -> None:
    for seed in record.plan.confirm_seeds:
        record.write_confirmed(number, seed, dict.fromkeys(record.plan.classes, 0.5))


def test_a_sweep_that_has_only_begun_has_all_of_it_left(tmp_path: Path) -> None:
    begun(tmp_path / "new", PLAN)
    assert left(tmp_path / "new") == WHOLE


def test_a_grid_has_left_what_is_not_confirmed(tmp_path: Path) -> None:
    grid = make_plan("loss_ablation", SweepSettings(scale="smoke", normal_class=(0, 3)), GRID)
    record = begun(tmp_path / "a", grid)
    assert left(tmp_path / "a", grid) == class_epochs_of(grid)
    confirm(record, 2)
    confirmed = grid.seeds * 2 * grid.base.epochs
    assert left(tmp_path / "a", grid) == {"confirm": class_epochs_of(grid)["confirm"] - confirmed}


@pytest.mark.parametrize("trials", [1, 3])
def test_a_search_has_left_what_its_ended_packs_have_not_spent(trials: int, tmp_path: Path) -> None:
    record = begun(tmp_path / "a", PLAN)
    search = Sweep(record, better_with_number)
    search.run(trials)
    spent = record.ladder.spent
    assert spent > 0
    assert search.start(), "this trial is under way: a resume trains it again"
    assert record.ladder.spent > spent
    assert left(tmp_path / "a") == {**WHOLE, "search": PLAN.budget - spent}


def test_a_confirmation_has_left_what_is_not_on_record(tmp_path: Path) -> None:
    record = whole_search(tmp_path / "a")
    chosen = candidates(record)
    assert left(tmp_path / "a") == {"search": 0, "confirm": len(chosen) * CONFIRMED}
    record.write_confirmed(chosen[0].number, PLAN.confirm_seeds[0], {0: 0.5})
    assert left(tmp_path / "a") == {"search": 0, "confirm": len(chosen) * CONFIRMED - EPOCHS}
    record.write(CHOSEN, [chosen[0].number])  # there is no time for more
    assert left(tmp_path / "a") == {"search": 0, "confirm": CONFIRMED - EPOCHS}
    record.write("test", {})
    assert left(tmp_path / "a") == {"search": 0, "confirm": 0}


def test_an_extension_trains_what_is_new_and_confirms_the_default_no_second_time(tmp_path: Path) -> None:
    record = whole_search(tmp_path / "a")
    best = record.best(1)[0].number
    assert best, "not the default"
    confirm(record, 0)
    confirm(record, best)
    record.write("test", {})
    spent, whole = record.ladder.spent, class_epochs_of(LARGER)
    expected = {"search": whole["search"] - spent, "confirm": whole["confirm"] - CONFIRMED}
    before = (tmp_path / "a" / "study.db").read_bytes()
    assert left(tmp_path / "a", LARGER, is_extended=True) == expected
    assert (tmp_path / "a" / "study.db").read_bytes() == before
    extend_record(tmp_path / "a" / "study.db", LARGER)
    assert left(tmp_path / "a", LARGER) == expected
    extended = record_of(LARGER, path=tmp_path / "a" / "study.db")
    Sweep(extended, lambda number, index, epoch: 0.4 if number >= 8 else better_with_number(number, index, epoch)).run()
    assert [each.number for each in extended.best(1)] == [best]
    assert left(tmp_path / "a", LARGER) == {"search": 0, "confirm": 0}, "the best has stayed the same"


def test_stages_by_class_have_left_what_their_own_records_lack(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, objective="per-class")
    record, whole = whole_search(tmp_path / "a", plan), class_epochs_of(plan)
    assert list(whole) == ["search", "confirm", "search by class", "confirm by class"]
    for each in candidates(record):
        confirm(record, each.number)
    assert left(tmp_path / "a", plan) == {**whole, "search": 0, "confirm": 0}
    own = record.of_class(3)
    Sweep(own, better_with_number).run()
    best = own.best(plan.best)
    assert left(tmp_path / "a", plan) == {
        **whole, "search": 0, "confirm": 0, "search by class": record.of_class(0).plan.budget,
    }  # fmt: skip
    confirm(own, best[0].number)
    assert left(tmp_path / "a", plan)["confirm by class"] == whole["confirm by class"] - CONFIRMED / 2


@pytest.mark.parametrize(("name", "value"), [("pack_0", {"rung": 0}), ("confirm_0_1", 5)])
def test_a_damaged_record_is_one_line(name: str, value: object, tmp_path: Path) -> None:
    record = begun(tmp_path / "a", PLAN)
    record.propose(0)
    record.write(name, value)
    with pytest.raises(UserError, match=r"study.db: damaged, or the record of another version \("):
        left(tmp_path / "a")


def test_images_are_those_of_the_class_epochs() -> None:
    plan = make_plan("gan_loss_weights", SweepSettings(scale="laptop"), SPACE)
    once = len(plan.classes) * plan.search_config.epochs
    assert images_in_all(plan, {"search": once, "confirm": once}) == (120_000, 120_000)
    assert images_in_all(plan, {"search": once, "search by class": once}) == (240_000, 0)


def test_a_limit_is_told_with_what_is_used_of_it(tmp_path: Path) -> None:
    settings = SweepSettings(scale="smoke", time_limit=3600.0, max_concurrent=1, gpus_per_trial=0)

    def limit_line() -> str:
        text = plan_in_words(PLAN, settings, left_of(PLAN, SweepHome(tmp_path / "a"), is_extended=False))
        return next(line for line in text.splitlines() if "  limit " in line)

    record = begun(tmp_path / "a", PLAN)
    assert "  limit      1 h 0 min" in limit_line()
    record.write(CLOCK, {"limit": 3600.0, "used": 1200.0, "startup": 1.0, "trials": []})
    assert "  limit      1 h 0 min, 20 min of it used" in limit_line()
    Sweep(record, better_with_number).run()
    assert limit_line() == "  limit      1 h 0 min, 20 min of it used; the search has ended"


def test_gpu_hours_are_used_up_by_all_gpus_that_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SweepSettings(scale="smoke", gpu_hours=12.0, gpus_per_trial=1)
    left = Left({"search": 0.0, "confirm": 1.0}, seconds_used=7200.0, gpu_seconds_used=4 * 7200.0)
    monkeypatch.setattr(plan_time, "cuda_devices", lambda: 1)
    assert (
        limit_in_words(PLAN, lambda _: None, settings, left) == "12 h 0 min, 8 h 0 min of it used; the search has ended"
    )


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
    settings = SweepSettings(
        scale="smoke", dataset="digits", normal_class=(0, 3), configs=8, epochs=EPOCHS, name="mine"
    )
    record.write("settings", dataclasses.asdict(settings))
    resumed = printed("--resume", "mine")
    assert re.search(r"  left       about 0 images in the search, [1-9]\S* images to confirm\n", resumed)
    record.write("test", {})
    assert "  time       no training is left\n" in printed("--resume", "mine")
    extended = printed("--extend", "mine", "--configs", "24")
    assert re.search(r"  left       about [1-9]\S* images in the search, [1-9]\S* images to confirm\n", extended)
    assert "  time       training at most about" in extended


def test_a_table_of_baselines_says_how_many_trainings_are_left() -> None:
    settings = BaselineSettings(scale="smoke")
    plan = plan_baselines("baselines", settings, ROWS)
    assert "  left: " not in rows_in_words(plan, settings)
    done = {training.key for training in plan.trainings[1:]}
    epochs = plan.config(plan.trainings[0]).epochs
    assert f"  left: 1 training, at most {epochs} epoch" in rows_in_words(plan, settings, done)
