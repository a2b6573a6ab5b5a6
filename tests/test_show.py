"""What `python -m sweeps.show` says of real records, whole, in use, damaged and foreign ones."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.lock import is_held, one_driver
from sweeps.engine.record.progress import CLOCK, ENDED, STAGE, seconds_left, stage_start
from sweeps.engine.record.study import storage_of
from sweeps.engine.show.status import SweepStatus, all_statuses, status_of
from sweeps.loss_ablation import SPACE as GRID
from tests.shown_records import begun, better_with_number, printed
from tests.sweep_parts import Sweep, small_plan

ROOT = Path(__file__).parents[1]


def shown(folder: Path) -> SweepStatus:
    return status_of(SweepHome(folder))


def test_the_best_so_far_is_of_the_highest_rung_that_was_reached(tmp_path: Path) -> None:
    record = begun(tmp_path / "a", small_plan((0, 1), configs=6))
    sweep = Sweep(record, better_with_number)
    assert shown(tmp_path / "a").best is None
    seen: list[dict[str, Any]] = []
    while sweep.run(1):
        found = shown(tmp_path / "a")
        assert found.best
        assert found.counts
        assert found.counts["tried"] == sum(each.rung >= 0 for each in record.configurations.values())
        reached = max(each.rung for each in record.configurations.values())
        there = [each for each in record.configurations.values() if each.rung == reached]
        best = max(there, key=lambda each: (each.value or 0, -each.number))
        assert found.best["configuration"] == best.number
        assert found.best["value"] == pytest.approx(best.value)
        assert found.best["params"] == best.params
        seen.append(found.best)
    assert [seen[0]["classes"], seen[-1]["classes"]] == [2, 2], "the first configuration finds the order of the classes"
    assert {each["classes"] for each in seen} == {1, 2}
    last = shown(tmp_path / "a")
    assert last.counts == {"of": "configurations", "planned": 6, "tried": 6, **record.ledger.counts()}
    assert (last.state, last.stage) == ("interrupted", "confirm")


def test_the_state_is_the_drivers_while_it_holds_the_lock_and_then_what_it_noted(tmp_path: Path) -> None:
    record = begun(tmp_path / "a", small_plan(configs=2))
    assert shown(tmp_path / "a").state == "interrupted"
    with one_driver(SweepHome(tmp_path / "a"), is_new=False):
        assert shown(tmp_path / "a").state == "running"
        assert shown(tmp_path / "a").stage == "search"
    for code, state in ((0, "complete"), (1, "failed"), (130, "interrupted")):
        record.write(ENDED, {"code": code, "reason": f"reason {code}", "failures": ["one"]})
        found = shown(tmp_path / "a")
        assert (found.state, found.reason, found.failures) == (state, f"reason {code}", ["one"])
    record.write(ENDED, None)  # a driver that was killed
    assert shown(tmp_path / "a").state == "interrupted"


def test_the_command_to_resume_is_shown_of_a_sweep_that_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path / "a", small_plan(configs=2))
    asked = ("a", "--storage", str(tmp_path))
    assert "--resume a" in printed(capsys, *asked)[1]
    with one_driver(SweepHome(tmp_path / "a"), is_new=False):
        assert "--resume a" not in printed(capsys, *asked)[1]


def test_a_look_at_the_lock_creates_nothing_and_does_not_turn_a_driver_away(tmp_path: Path) -> None:
    home = SweepHome(tmp_path)
    assert not is_held(home)
    assert list(tmp_path.iterdir()) == []
    home.lock.touch()
    looks = (
        f"from sweeps.engine.record.lock import is_held; from sweeps.engine.record.home import SweepHome\n"
        f"from pathlib import Path; home = SweepHome(Path({str(tmp_path)!r}))\n"
        "print(flush=True)\nwhile True: is_held(home)"
    )
    looking = subprocess.Popen([sys.executable, "-c", looks], cwd=ROOT, stdout=subprocess.PIPE)
    assert looking.stdout
    looking.stdout.readline()
    try:
        for _ in range(20):
            with one_driver(home, is_new=False):
                home.lock.touch()  # a sweep without a record takes its lock away at its end
    finally:
        looking.kill()
        looking.wait()
        looking.stdout.close()


def test_a_sweep_that_has_no_record_yet_is_starting(tmp_path: Path) -> None:
    with one_driver(SweepHome(tmp_path / "new"), is_new=True):
        assert [(each.name, each.state, each.stage) for each in all_statuses(tmp_path)] == [
            ("new", "running", "starting")
        ]
    assert all_statuses(tmp_path) == []


def test_a_grid_counts_what_was_confirmed(tmp_path: Path) -> None:
    settings = SweepSettings(scale="smoke", normal_class=(0, 1))
    plan = make_plan("loss_ablation", settings, GRID)
    record = begun(tmp_path / "grid", plan)
    grid = record.open_grid()
    for each in grid[:3]:
        record.write_confirmed(each.number, 1, {0: 0.5, 1: 0.7 + each.number / 100})
    record.write_confirmed(grid[3].number, 1, {0: 0.5})
    found = shown(tmp_path / "grid")
    assert found.stage == "confirm"
    assert found.counts == {"of": "configurations", "planned": len(GRID.points), "tried": 3, "complete": 3}
    assert [each["name"] for each in found.confirmed] == list(GRID.points)[2::-1]
    assert found.confirmed[0]["confirm"] == [pytest.approx(0.61)]
    assert found.confirmed[0]["params"] == grid[2].params


def test_a_configuration_that_diverged_in_its_confirmation_is_not_listed(tmp_path: Path) -> None:
    record = begun(tmp_path / "a", small_plan((0, 3), configs=6))
    Sweep(record, better_with_number).run()
    for number, seed in itertools.product(range(3), (1, 2)):
        value = math.nan if (number, seed) == (1, 2) else 0.9 - number / 10
        record.write_confirmed(number, seed, {0: value, 3: value})
    assert [each["configuration"] for each in shown(tmp_path / "a").confirmed] == [0, 2]


@pytest.mark.parametrize(("version", "hour"), [("5.0.0", 13), ("4.5.0", 18)])
def test_the_start_is_in_local_time_whichever_version_of_optuna_has_stored_it(
    version: str, hour: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = begun(tmp_path / "a", small_plan(configs=2))
    Sweep(record, better_with_number).run(1)
    with closing(sqlite3.connect(tmp_path / "a" / "study.db")) as database:
        database.execute("UPDATE version_info SET library_version = ?", [version])
        database.execute("UPDATE trials SET datetime_start = '2026-12-01 18:00:00.000000'")
        database.commit()
    monkeypatch.setenv("TZ", "America/Bogota")
    time.tzset()
    try:
        assert shown(tmp_path / "a").started == f"2026-12-01T{hour}:00:00-05:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_time_left_follows_from_what_was_trained_since_the_stage_began() -> None:
    now = datetime.datetime.now(datetime.UTC)
    pack = {"rung": 0, "trained": {"0": {"3": [0.5, 0.6]}, "1": None}}
    stage = {
        **stage_start("search", 10, {"pack_0": pack}),
        "started": (now - datetime.timedelta(seconds=60)).isoformat(),
    }
    known = {STAGE: stage, "pack_0": pack}
    assert seconds_left(known, 7, now) is None, "nothing of this driver's is on record"
    assert seconds_left({**known, "pack_1": pack, "pack_2": pack}, 7, now) == pytest.approx(60 / 4 * 6)
    stage = {**stage, "name": "confirm", "left": 28, "on_record": 0}
    assert seconds_left({STAGE: stage, "confirm_0_1": {"3": 0.5}}, 7, now) == pytest.approx(60 / 7 * 21)


def test_the_time_left_of_a_search_is_within_the_limit_of_its_driver() -> None:
    now = datetime.datetime.now(datetime.UTC)

    def before(seconds: float) -> str:
        return (now - datetime.timedelta(seconds=seconds)).isoformat()

    pack = {"rung": 0, "trained": {"0": {"3": [0.5, 0.6]}}}
    known = {STAGE: {**stage_start("search", 22, {}), "started": before(60)}, "pack_0": pack}
    whole = pytest.approx(60 / 2 * 20)
    within = {"limit": 500.0, "used": 400.0, "noted": before(3)}
    assert seconds_left({**known, CLOCK: within}, 7, now) == pytest.approx(97)
    for other in ({"noted": before(90)}, {"limit": 401.0}, {"limit": 5000.0}):
        assert seconds_left({**known, CLOCK: {**within, **other}}, 7, now) == whole
    del within["noted"]  # an earlier version's
    assert seconds_left({**known, CLOCK: within}, 7, now) == whole


def test_reading_neither_waits_for_nor_disturbs_a_driver_that_writes(tmp_path: Path) -> None:
    record = begun(tmp_path / "a", small_plan(configs=2))
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    with closing(sqlite3.connect(tmp_path / "a" / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # as a driver within a transaction
        other.execute("DELETE FROM studies")
        assert not shown(tmp_path / "a").error, "what is not committed is not seen"
        other.execute("ROLLBACK")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    record.write("searched", True)
    assert shown(tmp_path / "a").stage == "confirm"


def test_a_write_that_a_killed_driver_left_half_done_is_undone_in_a_copy(tmp_path: Path) -> None:
    storage_of(begun(tmp_path / "a", small_plan(configs=2)).study).remove_session()
    file = tmp_path / "a" / "study.db"
    crash = (
        f"import os, sqlite3; c = sqlite3.connect({str(file)!r}, isolation_level=None)\n"
        "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN'); c.execute(\"UPDATE studies SET study_name = 'half'\")\n"
        "c.execute('CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) "
        "SELECT i, randomblob(200) FROM n'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", crash], check=True)
    assert file.with_name("study.db-journal").stat().st_size > 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    found = shown(tmp_path / "a")
    assert (found.error, found.script, found.stage) == ("", "gan_loss_weights", "search")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


def _attribute(path: Path, key: str, text: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE study_user_attributes SET value_json = ? WHERE key = ?", (text, key))


def test_every_file_that_is_no_record_is_one_line_and_the_others_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "no-json", "another-form", "list", "deep", "nan"):
        storage_of(begun(tmp_path / name, small_plan(configs=2)).study).remove_session()
    _attribute(tmp_path / "no-json" / "study.db", "plan", "{")
    _attribute(tmp_path / "another-form" / "study.db", "plan", '{"script": "older", "scale": "tiny"}')
    _attribute(tmp_path / "list" / "study.db", "plan", "[1, 2]")
    _attribute(tmp_path / "deep" / "study.db", "plan", "[" * 100_000)
    _attribute(tmp_path / "nan" / "study.db", "settings", "NaN")
    for name, content in (
        ("empty", b""),
        ("text", b"a list of things to buy"),
        ("cut", b"SQLite format 3\0" + b"\1" * 99),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.db").write_bytes(content)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "study.db")
    (tmp_path / "folder" / "study.db").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "empty" / "other.db")):
        pass
    code, out, err = printed(capsys, "--storage", str(tmp_path))
    assert (code, err) == (0, "")
    bad = ("another-form", "cut", "deep", "empty", "folder", "list", "nan", "no-json", "pipe", "text")
    for name in bad:
        lines = [line for line in out.splitlines() if line.startswith(f"{name}: ")]
        assert len(lines) == 1, (name, out)
        assert str(tmp_path / name / "study.db") in lines[0]
        code, page, error = printed(capsys, name, "--storage", str(tmp_path))
        assert (code, page, error.count("\n")) == (2, "", 1)
        assert str(tmp_path / name / "study.db") in error
    assert len([line for line in out.splitlines() if line.startswith("good ")]) == 1
    errors = {each.name: each.error for each in all_statuses(tmp_path)}
    assert {name for name, error in errors.items() if error} == set(bad)


def test_folders_with_any_name_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = tmp_path / "übungen mit raum %20?#"
    begun(storage / "eins", small_plan(configs=2))
    code, out, _ = printed(capsys, "eins", "--storage", str(storage), "--json")
    assert code == 0
    assert json.loads(out)["folder"] == str(storage / "eins")
    assert json.loads(out)["error"] == ""


def test_a_damaged_results_file_is_said(tmp_path: Path) -> None:
    begun(tmp_path / "a", small_plan(configs=2))
    assert not shown(tmp_path / "a").reason
    (tmp_path / "a" / "results.json").write_text("{")
    assert shown(tmp_path / "a").reason == "results.json cannot be read; a resume writes it again"
