"""Places of the sweep scripts, and what stands in them already: files, folders, pipes, links, damaged data."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.refusals import refused
from tests.small_idx import idx_images, idx_labels, write_train

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_pipe_is_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    line = refused(["--tracking-uri", "sqlite:///pipe"], capsys, left=("notes.txt", "pipe"))
    assert "ordinary file" in line
    assert Path("pipe").is_fifo()


def test_a_file_in_the_place_of_mlflows_files_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mlartifacts").touch()
    line = refused(["--scale", "smoke"], capsys, left=("notes.txt", "mlartifacts"))
    assert "mlartifacts/gan_loss_weights: cannot be written (Not a directory)" in line


def test_a_folder_of_something_else_is_no_place_for_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs", "mine").mkdir(parents=True)
    Path("runs", "mine", "results.json").write_text("{}")
    line = refused(["--name", "mine"], capsys, left=("notes.txt", "runs"))
    assert "--name mine" in line
    assert "other files (results.json" in line


@pytest.mark.parametrize("kind", ["truncated", "foreign", "not gzip", "missing", "no folder", "nobody's"])
def test_a_data_file_that_cannot_be_used_is_named(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("data/fashion-mnist")
    images = write_train(folder, idx_images(), idx_labels())
    part = str(images)
    if kind == "truncated":
        images.write_bytes(gzip.compress(os.urandom(5000))[:-1000])
    elif kind == "not gzip":
        images.write_bytes(b"<html>Not found</html>")
    elif kind == "missing":
        images.unlink()
        part = images.stem
    elif kind == "no folder":
        part = "elsewhere"
    elif kind == "nobody's":
        part = "~nosuchuser"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    place = {"no folder": "elsewhere", "nobody's": "~nosuchuser"}.get(kind, "data")
    arguments = ["--data-dir", place, "--dataset", "fashion-mnist"]
    line = refused(arguments, capsys, left=("notes.txt", "data"))
    assert part in line
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("target", ["gone", "mine"])  # the latter is a circle
def test_a_link_to_nothing_in_a_records_place_is_named_with_its_target(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    link = Path("runs", "mine").absolute()
    link.parent.mkdir()
    link.symlink_to(target)
    line = refused(["--name", "mine"], capsys, left=("notes.txt", "runs"))
    assert f"{link} links to {target}, which does not exist" in line
    assert link.is_symlink()


def test_links_that_lead_in_a_circle_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("loop").symlink_to("loop")
    for name in ("loop", "loop/x"):
        line = refused(["--tracking-uri", f"sqlite:///{name}"], capsys, left=("loop", "notes.txt"))
        assert f"--tracking-uri {name}" in line
