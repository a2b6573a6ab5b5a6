"""A sweep that is extended: its record has more configurations to try, and loses nothing of what it holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from adcore.errors import UserError
from sweeps.engine.api import open_sweep
from sweeps.engine.machine.commands import repeat_command
from sweeps.engine.main import main
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.extend import earlier_sizes, extend_record
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import CLOCK, ENDED
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.stored_plan import read_record
from sweeps.engine.record.study import open_record
from sweeps.engine.report.render import write_report
from sweeps.engine.show.status import status_of
from sweeps.gan_loss_weights import SPACE
from tests.refusals import refused
from tests.sweep_parts import Sweep, record_of, searched, small_plan
from tests.test_report_page import finished

FEW, MORE = 8, 24


def quality(number: int, index: int, epoch: int) -> float:
    """The first configurations are the best: those that were stopped are better than those that come."""
    return 0.9 - number / 100 + index / 1000 + epoch / 10_000


def plan_of(configs: int) -> Plan:
    return small_plan((0, 3), configs=configs, epochs=8)


def search(path: Path, configs: int = FEW, *, tried: int | None = None) -> SweepRecord:
    """The record of a finished search, with what a sweep writes at its start. tried: fewer, as a time limit does."""
    record = searched(plan_of(tried or configs), quality, path=path)
    settings = dataclasses.asdict(
        SweepSettings(scale="smoke", dataset="digits", normal_class=(0, 3), configs=configs, epochs=8, name="mine")
    )
    record.write("settings", settings)
    record.write("plan", plan_of(configs).as_record())
    if tried:
        record.write(CLOCK, {"limit": 60.0, "used": 50.0, "startup": 0.0, "trials": []})
    return record


def extended(path: Path, configs: int = MORE) -> SweepRecord:
    extend_record(path, plan_of(configs))
    return record_of(plan_of(configs), path=path)


def packs(record: SweepRecord) -> list[Any]:
    known = record.all()
    return [known[f"pack_{place}"] for place in range(sum(name.startswith("pack_") for name in known))]


def test_what_was_trained_stays_and_what_was_stopped_can_go_further(tmp_path: Path) -> None:
    before = search(tmp_path / "study.db")
    stopped = {each.number: each.rung for each in before.configurations.values() if each.state == "stopped"}
    assert len(stopped) >= 3
    record = extended(tmp_path / "study.db")
    assert not record.is_searched
    assert packs(record) == packs(before)
    assert {number: record.configurations[number].rung for number in stopped} == stopped
    assert all(record.configurations[number].state == "running" for number in stopped)
    assert [each.params for each in record.configurations.values()] == [
        each.params for each in before.configurations.values()
    ]
    Sweep(record, quality).run()
    assert len(record.configurations) == MORE
    assert packs(record)[: len(packs(before))] == packs(before)
    assert any(record.configurations[number].rung > rung for number, rung in stopped.items()), "nobody went further"
    assert record.ladder.spent <= record.plan.budget
    states = [trial.user_attrs["state"] for trial in record.study.get_trials()]
    assert states == [each.state for each in record.configurations.values()], "the study says what the record says"


def test_an_extended_search_that_is_killed_ends_as_one_that_is_not(tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        search(tmp_path / name)
    whole = extended(tmp_path / "whole")
    Sweep(whole, quality).run()
    (tmp_path / ".killed.part").write_text("what a driver that was killed as it extended the record has left")
    killed = extended(tmp_path / "killed")
    while not killed.is_searched:
        Sweep(killed, quality).run(trials=2)
        killed = record_of(plan_of(MORE), path=tmp_path / "killed")
    assert packs(killed) == packs(whole)
    assert killed.configurations == whole.configurations


def test_settings_plan_and_history_are_those_of_the_larger_sweep(tmp_path: Path) -> None:
    search(tmp_path / "study.db").write("test_openings", ["2026-01-01T00:00:00+00:00"])
    record = extended(tmp_path / "study.db", 10)
    assert earlier_sizes(record) == [FEW]
    record = extended(tmp_path / "study.db", 12)
    assert earlier_sizes(record) == [FEW, 10]
    assert record.read("plan") == {**record.read("plan"), "configs": 12}
    assert record.read("settings")["configs"] == 12
    assert record.read("test_openings") == ["2026-01-01T00:00:00+00:00"]


def test_the_classes_own_searches_go_on_as_well(tmp_path: Path) -> None:
    record = search(tmp_path / "study.db")
    Sweep(record.of_class(3), quality).run()
    before = packs_of_class(record)
    assert before
    again = extended(tmp_path / "study.db")
    assert packs_of_class(again) == before
    assert not again.of_class(3).is_searched
    Sweep(again.of_class(3), quality).run()
    assert len(again.of_class(3).configurations) == MORE


def packs_of_class(record: SweepRecord) -> list[Any]:
    known = record.of_class(3).study.user_attrs
    return [known[name] for name in sorted(known) if name.startswith("pack_")]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--extend", "mine"], "expected --configs"),
        (["--extend", "mine", "--configs", "8"], "--configs 8: sweep 'mine' has 8 configurations already"),
        (["--extend", "mine", "--configs", "5"], "--resume mine continues it as it is"),
        (["--extend", "mine", "--configs", "12", "--epochs", "9"], "--epochs 8, not 9; omit --epochs"),
        (["--extend", "mine", "--configs", "12", "--seed", "1"], "--seed 0, not 1; omit --seed"),
        (["--extend", "mine", "--configs", "12", "--resume", "mine"], "cannot be combined"),
        (["--extend", "mine", "--configs", "12", "--name", "other"], "cannot be combined"),
        (["--extend", "mime", "--configs", "12"], "did you mean 'mine'?"),
        (["--extend", "../mine", "--configs", "12"], "not a path"),
        (["--extend", "mine", "--configs", "many"], "many"),
        (["--resume", "mine", "--configs", "12"], "--configs 8, not 12; omit --configs; --extend mine goes on with"),
    ],
)
def test_what_an_extension_cannot_do_is_refused_by_name(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs/mine").mkdir(parents=True)
    search(Path("runs/mine/study.db").resolve())
    assert said in refused(arguments, capsys, left=("notes.txt", "runs"))
    assert earlier_sizes(record_of(plan_of(FEW), path=Path("runs/mine/study.db").resolve())) == []


@pytest.mark.usefixtures("elsewhere")
def test_a_search_that_its_time_limit_ended_goes_on_to_what_was_planned(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/mine").mkdir(parents=True)
    record = search(Path("runs/mine/study.db").resolve(), tried=3)
    record.write("searched", None)  # as if it had been killed: --resume goes on with it
    assert "a larger number" in refused(["--extend", "mine", "--configs", "8"], capsys, left=("notes.txt", "runs"))
    record.write("searched", True)
    said = refused(["--extend", "mine", "--configs", "5"], capsys, left=("notes.txt", "runs"))
    assert "--extend takes 8 or more, as 3 were tried" in said
    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, ["--extend", "mine", "--configs", str(FEW), "--plan"])
    assert not ended.value.code
    assert "8 configurations" in capsys.readouterr().out
    again = extended(Path("runs/mine/study.db").resolve(), FEW)
    Sweep(again, quality).run()
    assert len(again.configurations) == FEW


def test_until_it_has_ended_the_former_results_are_not_shown_as_the_sweeps(tmp_path: Path) -> None:
    home = finished(tmp_path / "mine", configs=FEW)
    read_record(home).write("test", {"models": [], "measured": []})
    read_record(home).write(ENDED, {"code": 0, "reason": "", "failures": []})
    before = status_of(home)
    assert before.results
    assert (before.state, before.error) == ("complete", "")
    plan = read_record(home).plan
    extend_record(home.record, dataclasses.replace(plan, configs=MORE))
    assert status_of(home).results is None
    assert status_of(home).state == "interrupted"
    with pytest.raises(UserError, match="of before --extend, which has not finished; --resume mine"):
        write_report(home, read_record(home))
    with pytest.raises(UserError, match="'mine' has no results: it is interrupted"):
        open_sweep("mine", storage=tmp_path)


def test_what_is_interrupted_before_it_is_on_record_is_continued_by_the_same_call() -> None:
    settings = SweepSettings(scale="smoke", resume="mine", configs=64, time_limit=720.0, data_dir="/d")
    words = "--extend mine --configs 64 --time-limit 12m --data-dir /d"
    assert repeat_command("tune", settings, "mine", is_extended=True).endswith(f"/tune.py {words}")
    assert repeat_command("tune", settings, "mine", is_extended=False).endswith(
        "/tune.py --resume mine --time-limit 12m --data-dir /d"
    )


def test_places_and_limits_that_a_resume_changes_are_those_of_the_sweep(tmp_path: Path) -> None:
    home = SweepHome(tmp_path)
    record = search(home.record)
    before = record.read("settings")
    for changes in (
        {"checkpoints": "s3://b/p", "time_limit": 720.0}, {"time_limit": None, "gpu_hours": 2.0}, {"gpu_hours": None}
    ):  # fmt: skip
        before |= changes
        open_record(home, record.plan, {"settings": {**before, "max_concurrent": 3}})
        assert record_of(plan_of(FEW), path=home.record).read("settings") == before
