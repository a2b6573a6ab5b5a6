"""Places of a sweep: absolute in the record and in every printed command, and found again after a move."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.engine.machine.code import ROOT
from sweeps.engine.machine.commands import browse_command, python, resume_command
from sweeps.engine.machine.locations import (
    database_path,
    database_uri,
    resolve_database,
    with_absolute_paths,
    with_moved_paths,
)
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.study import open_study
from tests.refusals import refused
from tests.sweep_parts import record_of, small_plan

#: Names of folders that an address cannot hold as they are.
STRANGE = ("w 100%25 #2", "what?x=1", "{a}", "ünter", "50%", "a;b&c", "plain")


@pytest.mark.parametrize("file", ["m.db", "résultats.db", "50%.db", "a b#c.db", "%20.db"])
@pytest.mark.parametrize("name", STRANGE)
def test_the_address_of_a_database_leads_back_to_its_file(name: str, file: str, tmp_path: Path) -> None:
    path = tmp_path / name / file
    path.parent.mkdir()
    for _ in range(2):
        assert database_path(database_uri(path)) == path
        assert resolve_database(f"sqlite:///{path}") == database_uri(path), "as somebody would type it"
        path.touch()  # and once it is there
    assert resolve_database(database_uri(path)) == database_uri(path)


def test_an_address_with_quoted_characters_is_taken_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "50% off"
    folder.mkdir()
    assert resolve_database(database_uri(folder / "m.db")) == database_uri(folder / "m.db")
    assert resolve_database(f"sqlite:///{tmp_path}/50%25%20off/m.db") == database_uri(folder / "m.db")


@pytest.mark.parametrize("name", STRANGE)
def test_a_record_lies_where_it_was_asked_for_and_nowhere_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / name / "study.db"
    path.parent.mkdir()
    record_of(small_plan((0,), configs=1), path=path).write("fact", 1)
    assert open_study(path, create=False).user_attrs["fact"] == 1
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert [each.name for each in path.parent.iterdir()] == ["study.db"]


@pytest.mark.parametrize("uri", ["sqlite:///a.db?mode=ro", "sqlite:///:memory:", "sqlite:///"])
def test_a_database_that_is_no_file_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match="--tracking-uri"):
        database_path(uri)


def test_settings_name_absolute_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = with_absolute_paths(SweepSettings(data_dir="data"))
    assert found.storage == str(tmp_path / "runs")
    assert found.tracking_uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert found.data_dir == str(tmp_path / "data")
    assert with_absolute_paths(SweepSettings(tracking_uri="http://mlflow:5000")).tracking_uri == "http://mlflow:5000"


def test_the_printed_commands_work_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(
        resume_command("gan_loss_weights", with_absolute_paths(SweepSettings(data_dir="my data")), "mine")
    )
    assert words[0] in ("python", python())
    assert Path(words[1]).is_absolute()
    assert Path(words[1]).is_file()
    assert words[2:] == [
        "--resume", "mine", "--data-dir", str(tmp_path / "my data"), "--storage", str(tmp_path / "runs"),
        "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}",
    ]  # fmt: skip


def test_python_is_named_so_that_the_users_shell_finds_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert Path(python()).is_absolute()
    monkeypatch.setenv("PATH", f"{Path(python()).parent}:/usr/bin:/bin")
    assert python() == "python", "its environment is active"


@pytest.mark.parametrize("name", STRANGE)
def test_the_command_to_browse_opens_that_database(name: str, tmp_path: Path) -> None:
    path = tmp_path / name / "mlflow.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE here (id INTEGER)")
    printing = f"printf '%s\\n' {browse_command(database_uri(path))}"
    ran = subprocess.run(["sh", "-c", printing], capture_output=True, text=True, cwd=tmp_path, check=True)
    _, script, flag, uri = ran.stdout.splitlines()
    assert (Path(script).name, flag) == ("ui.py", "--tracking-uri")
    assert database_path(resolve_database(uri)) == path, "letter by letter, as MLflow"


def test_what_was_moved_with_the_record_is_found_beside_it(tmp_path: Path) -> None:
    before, now = tmp_path / "w0", tmp_path / "w1"
    for name in ("data", "ckpt"):
        (now / name).mkdir(parents=True)
    (now / "mlflow.db").touch()
    stored = {
        "storage": str(before / "runs"), "tracking_uri": database_uri(before / "mlflow.db"),
        "data_dir": str(before / "data"), "checkpoints": str(before / "ckpt"), "epochs": 3,
    }  # fmt: skip
    assert with_moved_paths(stored, now / "runs") == {
        "storage": str(now / "runs"), "tracking_uri": database_uri(now / "mlflow.db"),
        "data_dir": str(now / "data"), "checkpoints": str(now / "ckpt"), "epochs": 3,
    }  # fmt: skip
    remote = stored | {"checkpoints": "s3://bucket/prefix"}
    assert with_moved_paths(remote, now / "runs")["checkpoints"] == "s3://bucket/prefix"
    assert with_moved_paths(stored, before / "runs") == stored


def test_what_stayed_where_it_was_is_found_there(tmp_path: Path) -> None:
    (tmp_path / "w0").mkdir()
    stored = {
        "storage": str(tmp_path / "w0" / "runs"), "tracking_uri": database_uri(tmp_path / "w0" / "mlflow.db"),
        "data_dir": "/somewhere/else",
    }  # fmt: skip
    elsewhere = tmp_path / "backup" / "runs"
    assert with_moved_paths(stored, elsewhere) == stored | {"storage": str(elsewhere)}
    server = stored | {"tracking_uri": "http://mlflow:5000", "data_dir": None}
    assert with_moved_paths(server, elsewhere) == server | {"storage": str(elsewhere)}


def test_relative_places_of_an_older_record_are_those_beside_it(tmp_path: Path) -> None:
    stored = {"storage": "runs", "tracking_uri": "sqlite:///mlflow.db", "data_dir": "data"}
    assert with_moved_paths(stored, tmp_path / "runs") == stored | {"storage": str(tmp_path / "runs")}, (
        "nothing is there"
    )
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "data").mkdir()
    assert with_moved_paths(stored, tmp_path / "runs") == {
        "storage": str(tmp_path / "runs"), "tracking_uri": database_uri(tmp_path / "mlflow.db"),
        "data_dir": str(tmp_path / "data"),
    }  # fmt: skip
    assert with_moved_paths(stored, tmp_path / "moved") == stored | {"storage": str(tmp_path / "moved")}, (
        "nobody can tell"
    )


@pytest.mark.usefixtures("elsewhere")
def test_a_line_break_in_the_current_folder_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a\nb").mkdir()
    monkeypatch.chdir("a\nb")
    assert "line breaks" in refused([], capsys, left=())


#: The name of a folder in bytes that are no UTF-8.
BYTES = os.fsdecode(b"w\xff")


@pytest.mark.usefixtures("elsewhere")
def test_a_current_folder_whose_name_is_no_text_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path(BYTES).mkdir()
    monkeypatch.chdir(BYTES)
    for arguments in ([], ["--storage", str(tmp_path / "runs")], ["--resume", "mine"], ["--plan"]):
        line = refused(arguments, capsys, left=())
        assert "w\\udcff" in line
        assert "is not text in utf-8; use another folder\n" in line


@pytest.mark.usefixtures("elsewhere")
def test_a_link_to_a_folder_whose_name_is_no_text_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(BYTES).mkdir()
    Path("link").symlink_to(BYTES)
    for arguments in (["--storage", "link"], ["--tracking-uri", "sqlite:///link/mlflow.db"]):
        assert f"{arguments[0]}: " in refused(arguments, capsys, left=("notes.txt", "link", BYTES))
    monkeypatch.setenv("TMPDIR", str(Path("link").resolve()))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    assert "TMPDIR: " in refused(["--scale", "smoke"], capsys, left=("notes.txt", "link", BYTES))


def test_a_name_in_utf_8_under_a_locale_in_ascii_is_told_what_to_set(tmp_path: Path) -> None:
    folder = tmp_path / "w\u00e9"
    folder.mkdir()
    own = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, str(ROOT / "sweeps" / "gan_loss_weights.py"), "--scale", "smoke"]
    ran = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=240, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
    assert "is not text in ascii" in ran.stderr
    assert "set PYTHONUTF8=1" in ran.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--checkpoints", "~nosuch-user/x"], "--checkpoints '~nosuch-user/x': not a usable folder"),
        (["--checkpoints", "loop/x"], "--checkpoints 'loop/x': not a usable folder"),
        (["--storage", "loop"], "--storage 'loop': not a usable folder"),
        (["--checkpoints", "s3://[x"], "--checkpoints s3://...: not an address (Invalid IPv6 URL)"),
        (["--checkpoints", "s3://me:secret@[x"], "--checkpoints s3://...: not an address (Invalid IPv6 URL)"),
        (["--resume", "s3://[x/mine"], "--checkpoints s3://...: not an address (Invalid IPv6 URL)"),
        (["--storage", "~nosuch-user/x", "--checkpoints", "c", "--resume", "mine"], "--storage '~nosuch-user/x': not"),
    ],
)
def test_a_place_that_can_be_no_place_is_named(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("loop").symlink_to("loop")
    assert refused(arguments, capsys, left=("loop", "notes.txt")).startswith(f"error: {named}")
