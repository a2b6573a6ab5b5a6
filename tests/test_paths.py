"""Paths that the system will not look at, and characters that a locale lacks: one line, or no difference."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adcore.datasets import DatasetError, describe
from adcore.errors import UserError
from adcore.files import is_folder, status_of, write_whole
from adcore.predict.command import Request, predict
from adcore.predict.images import find_files
from adcore.predict.models import read_states

LONG = "a" * 300


@pytest.mark.parametrize("kind", ["folder", "csv", "npz"])
def test_data_with_too_long_a_name_are_refused_in_one_line(kind: str) -> None:
    with pytest.raises(DatasetError, match=r"a: cannot be opened \(File name too long\)$"):
        describe(f"{kind}:{LONG}")


def test_files_with_too_long_a_name_are_refused_by_what_named_them(tmp_path: Path) -> None:
    for attempt, start in (
        (lambda: predict([Path(LONG)], Request(places=(str(tmp_path),))), "--model 'aaa"),
        (lambda: read_states([Path(LONG)]), "--model 'aaa"),
        (lambda: find_files([LONG]), "'aaa"),
        (lambda: Request(places=(str(tmp_path),), table=LONG), "--csv 'aaa"),
        (lambda: Request(onnx=LONG), "--onnx 'aaa"),
        (lambda: Request(places=(str(tmp_path),), heatmaps=LONG), "--heatmaps 'aaa"),
    ):
        with pytest.raises(UserError, match="too long") as caught:
            attempt()
        assert str(caught.value).startswith(start)
        assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_entered_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "stat", refuse)  # root may enter any
    with pytest.raises(DatasetError, match=r"^folder:/closed/images: cannot be opened \(Permission denied\)$"):
        describe("folder:/closed/images")
    with pytest.raises(UserError, match=r"^'/closed/a.png': cannot be opened \(Permission denied\)$"):
        find_files(["/closed/a.png"])


def test_what_is_not_there_is_told_from_a_file_and_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = (tmp_path, tmp_path / "file", tmp_path / "none", tmp_path / "file" / "below", Path("a\0b"))
    assert [is_folder(place, "x") for place in places] == [True, False, False, False, False]
    assert [status_of(place, "x") is not None for place in places] == [True, True, False, False, False]


def test_a_text_is_written_in_utf_8_in_any_locale(tmp_path: Path) -> None:
    place = repr(str(tmp_path / "a"))
    program = f"import pathlib, adcore.files as files; files.write_whole(pathlib.Path({place}), '\\xe4')"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **plain}, check=True)
    assert (tmp_path / "a").read_bytes() == "ä".encode()
    assert write_whole(tmp_path / "a", "ö").read_text(encoding="utf-8") == "ö"
