"""Which code runs: the script's own everywhere, or a line that names both places; and it is on record."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.engine.machine import code
from sweeps.engine.machine.code import ROOT, UNKNOWN_CODE, Code, code_copy, code_has_changed, code_tags, current_code
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.study import open_record
from tests.sweep_parts import record_of, small_plan


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Another place with the same code."""
    for package in ("adcore", "sweeps"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _take(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "ROOT", place)
    monkeypatch.setattr(code, "PACKAGES", {name: place / name for name in ("adcore", "sweeps")})


def _plan(script: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    own |= {"PYTHONPATH": path} if path else {}
    command = [sys.executable, str(script), "--plan", "--scale", "smoke"]
    return subprocess.run(command, env=own, capture_output=True, text=True, timeout=240, check=False)


def test_a_script_is_not_run_with_the_code_of_another_place(copy: Path) -> None:
    other = copy / "sweeps" / "gan_loss_weights.py"
    ran = _plan(other)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
    assert str(other) in ran.stderr
    assert str(ROOT) in ran.stderr
    assert f"PYTHONPATH={copy}" in ran.stderr
    assert _plan(other, str(copy)).returncode == 0, "what the line advises"


def test_two_halves_of_two_places_are_refused(copy: Path) -> None:
    shutil.rmtree(copy / "sweeps")
    ran = _plan(ROOT / "sweeps" / "gan_loss_weights.py", str(copy))
    assert ran.returncode == 2
    assert str(copy) in ran.stderr
    assert str(ROOT) in ran.stderr


def test_another_line_of_code_is_another_code(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _take(copy, monkeypatch)
    same = current_code.__wrapped__()
    assert same.sources == current_code().sources
    assert same.commit == "", "the copy is no repository, nor is what it lies in asked"
    (copy / "adcore" / "protocols" / ".#splits.py").symlink_to("somebody@somewhere.123")  # an editor's lock
    assert current_code.__wrapped__().sources == same.sources
    splits = copy / "adcore" / "protocols" / "splits.py"
    splits.write_text(splits.read_text().replace("VALIDATION_SHARE = 1 / 6", "VALIDATION_SHARE = 1 / 3"))
    assert current_code.__wrapped__().sources != same.sources
    assert code_has_changed()


def test_what_workers_get_is_the_same_code_and_nothing_else(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _take(copy, monkeypatch)
    expected = current_code.__wrapped__().sources
    (copy / "sweeps" / "runs").mkdir()  # of a sweep that was started there
    (copy / "sweeps" / "runs" / "study.db").write_bytes(b"0" * 1_000_000)
    with code_copy() as folders:
        monkeypatch.setattr(code, "PACKAGES", {Path(each).name: Path(each) for each in folders})
        assert current_code.__wrapped__().sources == expected
        assert {path.suffix for each in folders for path in Path(each).rglob("*.*")} == {".py"}
    assert not any(Path(each).exists() for each in folders)


def test_the_commit_says_whether_the_files_are_those_of_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _take(copy, monkeypatch)
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "."]):
        subprocess.run(["git", "-C", str(copy), *words], check=True)
    clean = current_code.__wrapped__().commit
    assert len(clean) == 40
    (copy / "adcore" / "config.py").write_text("changed")
    assert current_code.__wrapped__().commit == f"{clean}+"


def test_packages_that_were_sent_to_places_of_their_own_are_the_same_code(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {name: copy / f"sent-{name}" / name for name in ("adcore", "sweeps")}
    for name, place in places.items():
        shutil.copytree(copy / name, place)
    monkeypatch.setattr(code, "PACKAGES", places)
    assert current_code.__wrapped__().sources == current_code().sources


def test_a_record_that_other_code_goes_on_with_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = record_of(small_plan(), path=tmp_path / "study.db")
    first, second = Code("1.0", "a" * 40, "1" * 64), Code("1.1", "", "2" * 64)
    record.write("code", [first])
    for now, said in ((first, 0), (second, 1), (second, 0)):
        monkeypatch.setattr("sweeps.engine.record.attributes.current_code", lambda now=now: now)
        record.note_code()
        error = capsys.readouterr().err
        assert len(error.splitlines()) == said
    assert record.codes == [first, second]
    assert code_tags(record.codes) == {
        "code_version": "1.0, 1.1", "code_commit": "a" * 40, "code_sources": f"{'1' * 64}, {'2' * 64}",
    }  # fmt: skip


def test_a_record_of_a_version_that_noted_no_code_is_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_of(small_plan(), path=tmp_path / "study.db").write("settings", {})
    for said in ("version unknown; now version", ""):
        study = open_record(SweepHome(tmp_path), small_plan(), {"data": {"digits": {"train": "a", "test": "b"}}})
        Attributes(study, tmp_path / "study.db").note_code()
        assert said in capsys.readouterr().err
    assert Attributes(study, tmp_path / "study.db").codes == [UNKNOWN_CODE, current_code()]
    assert study.user_attrs["data"] == {"digits": {"train": "a", "test": "b"}}, "from here on it is held to them"
