"""Names and records of sweeps on the command line: taken, unknown, of another script, in use, resumed."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import click
import pytest

from adcore.command_line import dataclass_flags, guarded
from adcore.errors import UserError
from sweeps.engine.main import main
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Uniform
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.lock import check_free, one_driver
from sweeps.engine.record.resume import LIMITS, require_same_plan, stored_settings
from sweeps.engine.record.study import open_study
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests import shown_records
from tests.own_images import stripes, write_images
from tests.refusals import refused
from tests.sweep_parts import record_of, small_plan

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_name_to_resume_that_is_unknown_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("monday", "tuesday"):
        (Path("runs") / name).mkdir(parents=True)
        (Path("runs") / name / "study.db").touch()
    line = refused(["--resume", "tuesda"], capsys, left=("notes.txt", "runs"))
    assert "did you mean 'tuesday'?" in line
    assert "monday, tuesday" in line


def test_a_foreign_file_in_a_records_place_is_named_and_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("runs/mine/study.db")
    file.parent.mkdir(parents=True)
    file.touch()  # an empty file is a valid SQLite database: Optuna would make its tables in it
    line = refused(["--resume", "mine", "--plan"], capsys, left=("notes.txt", "runs"))
    assert "not the record of a sweep" in line
    assert file.stat().st_size == 0


def test_a_second_driver_on_one_sweep_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "mine"
    with (
        one_driver(SweepHome(home), is_new=False),
        pytest.raises(UserError, match="'mine' is being run by another process"),
        one_driver(SweepHome(home), is_new=False),
    ):
        pass
    with (
        one_driver(SweepHome(home), is_new=False),  # the first has ended
        pytest.raises(UserError, match="'mine' is being run by another process"),
    ):
        check_free(SweepHome(home))  # asked before data are loaded
    check_free(SweepHome(home))


def test_a_folder_that_somebody_takes_the_place_of_in_the_last_moment_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a file")
    with (
        pytest.raises(UserError, match=r"mine: cannot be created \(File exists\)"),
        one_driver(SweepHome(tmp_path / "mine"), is_new=True),
    ):
        pass


def test_a_sweep_that_does_not_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError), one_driver(SweepHome(tmp_path / "runs" / "mine"), is_new=True):
        raise UserError("the cluster has too little")
    assert not (tmp_path / "runs").exists()


def test_a_name_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/study.db").touch()
    assert "--resume mine" in refused(["--name", "mine"], capsys, left=("notes.txt", "runs"))


@pytest.fixture
def begun(elsewhere: None) -> dict[str, object]:
    """The record of a smoke sweep of another length, as run_program leaves it; its settings."""
    Path("runs/mine").mkdir(parents=True)
    plan = dataclasses.replace(small_plan((0, 3), configs=2, epochs=2), reduction=3)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    settings = vars(SweepSettings(scale="smoke", normal_class=(0, 3), configs=2, epochs=2, name="mine"))
    record.write("settings", settings)
    record.write("plan", record.plan.as_record())
    return settings


@pytest.mark.usefixtures("begun")
def test_a_resumed_sweep_keeps_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["--resume", "mine", "--epochs", "3"], capsys, left=("notes.txt", "runs"))
    assert "--epochs 2, not 3" in line


@pytest.mark.usefixtures("begun")
def test_classes_may_be_given_again_as_their_texts() -> None:
    home = SweepHome(Path("runs/mine").resolve())
    same, other = ({"resume": "mine", "normal_class": texts} for texts in (("0", "3"), ("0", "4")))
    assert stored_settings("gan_loss_weights", SweepSettings, home, same).normal_class == (0, 3)
    with pytest.raises(UserError, match="'mine' was started with --normal-class 0,3, not 0,4; omit --normal-class"):
        stored_settings("gan_loss_weights", SweepSettings, home, other)


@pytest.mark.usefixtures("begun")
def test_a_resumed_sweep_must_be_what_this_program_would_compute(capsys: pytest.CaptureFixture[str]) -> None:
    # its ladder sends up one of three: as another version might
    line = refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))
    assert "other settings of: reduction" in line


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"time_limit": 3600.0}, {"gpu_hours": 5.0}),
        ({"gpu_hours": 5.0}, {"time_limit": 60.0}),
        ({}, {"gpu_hours": 1.0}),
    ],
)
def test_a_limit_that_is_given_replaces_that_on_record_of_whichever_kind(
    before: dict[str, float], now: dict[str, float], begun: dict[str, object]
) -> None:
    home = SweepHome(Path("runs/mine").resolve())
    record_of(small_plan((0, 3), configs=2, epochs=2), path=home.record).write("settings", begun | before)

    def limits(flags: dict[str, float]) -> dict[str, float]:
        settings = stored_settings("gan_loss_weights", SweepSettings, home, {"resume": "mine", **flags})
        return {name: value for name in LIMITS if (value := getattr(settings, name)) is not None}

    assert limits({}) == before
    assert limits(now) == now


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("proposed", [0, 1])
def test_a_range_of_another_kind_is_another_sweep(proposed: int, capsys: pytest.CaptureFixture[str]) -> None:
    plan = small_plan((0, 3), configs=2, epochs=2)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    record.write("plan", plan.as_record())
    for number in range(proposed):
        record.propose(number)
    uniform = dataclasses.replace(SPACE, ranges={**SPACE.ranges, "learning_rate": Uniform(3e-4, 5e-3)})
    require_same_plan(SweepHome(Path("runs/mine").resolve()), plan)
    if proposed:
        line = refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"), space=uniform)
        assert "'mine' was started with other settings of: the range of learning_rate; start a new one" in line
    else:  # nothing is searched yet
        require_same_plan(SweepHome(Path("runs/mine").resolve()), dataclasses.replace(plan, space=uniform))


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("more", [[], ["--plan"]])
def test_a_sweep_is_not_resumed_by_another_script(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["--resume", "mine", *more], capsys, left=("notes.txt", "runs"), script="loss_ablation", space=GRID)
    assert "'mine' was started by sweeps/gan_loss_weights.py, not by sweeps/loss_ablation.py" in line


def test_a_resumed_sweep_shows_its_own_plan(begun: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan("gan_loss_weights", SweepSettings(**begun), SPACE)  # type: ignore[arg-type]
    record_of(plan, path=Path("runs/mine/study.db").resolve()).write("plan", plan.as_record())
    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, ["--resume", "mine", "--plan"])
    assert ended.value.code == 0
    assert "2 configurations, each until stopped, at most 2 classes x 2 epochs" in capsys.readouterr().out


@pytest.mark.usefixtures("begun")
def test_a_plan_of_another_sweep_than_the_one_on_record_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["--resume", "mine", "--plan"], capsys, left=("notes.txt", "runs"))
    assert "other settings of: reduction" in line


@pytest.mark.parametrize("damage", [{"epochs": "many"}, {"normal_class": 3}, {"storage": None}])
def test_settings_on_record_that_no_command_line_gives_are_named(
    damage: dict[str, object], begun: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = dataclasses.replace(small_plan((0, 3), configs=2, epochs=2), reduction=3)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    record.write("settings", begun | damage)
    assert "runs/mine/study.db" in refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))


@pytest.mark.usefixtures("begun")
def test_a_fact_on_record_that_was_cut_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect("runs/mine/study.db")) as database, database:
        database.execute("UPDATE study_user_attributes SET value_json = '{\"cut' WHERE key = 'settings'")
    line = refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))
    assert "study.db: damaged" in line


@pytest.mark.usefixtures("begun")
def test_a_plan_on_record_that_lacks_its_data_set_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect("runs/mine/study.db")) as database, database:
        query = "UPDATE study_user_attributes SET value_json = json_remove(value_json, '$.base') WHERE key = 'plan'"
        database.execute(query)
    line = refused(["--resume", "mine", "--normal-class", "0"], capsys, left=("notes.txt", "runs"))
    assert "study.db: damaged, its plan names no data set" in line


def test_a_lock_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine" / ".lock").mkdir(parents=True)
    with (
        pytest.raises(UserError, match=r"\.lock: cannot be locked"),
        one_driver(SweepHome(tmp_path / "mine"), is_new=True),
    ):
        pass


def test_a_damaged_queue_for_mlflow_is_named_before_ray_starts(
    begun: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan("gan_loss_weights", SweepSettings(**begun), SPACE)  # type: ignore[arg-type]
    record_of(plan, path=Path("runs/mine/study.db").resolve()).write("plan", plan.as_record())
    Path("runs/mine/mlflow-outbox-01234567.db").write_bytes(b"SQLite format 3\0 and no more")
    line = refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))
    assert "mlflow-outbox-01234567.db: damaged" in line
    assert "move it away and resume again" in line


def test_a_record_that_was_never_begun_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/mine").mkdir(parents=True)
    record_of(small_plan(), path=Path("runs/mine/study.db"))
    assert "ended before it was set up" in refused(["--resume", "mine"], capsys, left=("notes.txt", "runs"))


def test_data_whose_classes_were_read_in_another_way_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("crack", "dent", "normal"):
        write_images(Path("own", name), stripes(14, standing=name == "normal"))
    record = shown_records.begun(Path("runs/mine").resolve(), small_plan())
    own = {"dataset": f"folder:{Path('own').resolve()}", "normal_class": [2]}
    record.write("settings", {**record.read("settings"), **own})
    line = refused(["--resume", "mine"], capsys, left=("notes.txt", "own", "runs"))
    assert "sweep 'mine' was started with other classes, or another normal class, of its data" in line


@pytest.mark.parametrize("flag", ["--time-limit", "--gpu-hours"])
def test_a_limit_can_be_lifted(flag: str, begun: dict[str, object]) -> None:
    home = SweepHome(Path("runs/mine").resolve())
    open_study(home.record, create=False).set_user_attr("settings", {**begun, "time_limit": 720.0})
    command = click.Command("sweep", params=dataclass_flags(SweepSettings), callback=guarded(dict))
    for given, limit in (([], 720.0), ([flag, "none"], None)):
        flags = command.main(["--resume", "mine", *given], standalone_mode=False)
        assert stored_settings("gan_loss_weights", SweepSettings, home, flags).time_limit == limit
