"""`python -m sweeps.show` as a command: mistakes, imports, and how watching ends."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.lock import one_driver
from sweeps.engine.show.status import SweepStatus, all_statuses
from sweeps.engine.show.text import sweeps_table
from tests.fresh_python import HEAVY, ROOT, fresh_module
from tests.shown_records import begun, better_with_number, printed
from tests.sweep_parts import Sweep, small_plan


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["tow", "--storage", "runs"], "did you mean 'two'?"),
        (["../two", "--storage", "runs"], "not a path"),
        (["--storage", "nowhere"], "expected a folder with sweeps"),
        (["--watch", "two"], "NAME goes before --watch"),
        (["two", "--watch", "0"], "expected seconds from 0.1 to 3600"),
        (["two", "--watch", "nan"], "expected seconds from 0.1 to 3600"),
        (["--storage", ""], "--storage"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    begun(tmp_path / "runs" / "two", small_plan(configs=2))
    code, out, err = printed(capsys, *arguments)
    assert (code, out) == (2, "")
    assert named in err
    assert err.count("\n") == 1


def test_before_the_first_sweep_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert printed(capsys) == (0, "no sweeps\n", "")
    assert printed(capsys, "--json") == (0, "[]\n", "")


def test_a_list_of_sweeps_is_printed_with_nothing_heavy_imported(tmp_path: Path) -> None:
    plan = small_plan(configs=4)
    for number in range(3):
        Sweep(begun(tmp_path / f"sweep-{number}", plan), better_with_number).run()
    ended = fresh_module("sweeps.show", "--storage", str(tmp_path))
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 1 + 3
    assert HEAVY & ended.modules == set()


@pytest.mark.parametrize("width", [80, 160])
def test_a_sweep_takes_one_line_of_the_list_in_a_terminal(width: int, tmp_path: Path) -> None:
    plan = small_plan(configs=4)
    for name in ("fashion", "widgets-64px"):
        Sweep(begun(tmp_path / name, plan), better_with_number).run()
    console = Console(width=width)
    with console.capture() as captured:
        console.print(sweeps_table(all_statuses(tmp_path), width))
    head, *lines = captured.get().splitlines()
    assert [line.split()[0] for line in lines] == ["fashion", "widgets-64px"]
    assert all("4 of 4" in line and "(1 x 8)" in line for line in lines)
    assert ("script" in head) == ("gan_loss_weights" in lines[0]) == (width > 80)


def test_a_narrow_list_cuts_no_name_or_state(tmp_path: Path) -> None:
    long = SweepStatus("gan_loss_weights-20261201-061500", "f", "interrupted", stage="search by class")
    counts = {"planned": 1000, "tried": 1000}
    best = {"value": 0.97312, "classes": 10, "epochs": 8, "name": "", "configuration": 3}
    more: dict[str, Any] = {"counts": {**counts, "by_class": counts}, "best": best}
    long = dataclasses.replace(long, changed="2026-12-01T06:15:00+00:00", **more)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(sweeps_table([long], 80))
    head, *lines = captured.get().splitlines()
    assert max(map(len, (head, *lines))) <= 80
    assert "1000 of 1000  0.9731 (10 x 8)" in lines[0]
    assert "12-01 06:15" in lines[0]
    assert "".join(line[: head.index("state")].strip() for line in lines) == long.name
    start, end = head.index("state"), head.index("tried")
    assert " ".join(line[start:end].strip() for line in lines) == "interrupted, search by class"


def test_watching_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    begun(tmp_path / "a", small_plan(configs=2))
    command = [sys.executable, "-m", "sweeps.show", "a", "--json", "--watch", "0.1", "--storage", str(tmp_path)]
    with (
        one_driver(SweepHome(tmp_path / "a"), is_new=False),
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching,
    ):
        assert watching.stdout
        assert watching.stderr
        assert json.loads(watching.stdout.readline())["state"] == "running"
        watching.stdout.close()
        assert watching.wait(60) == 0
        assert watching.stderr.read() == b""


def test_ctrl_c_ends_watching_without_a_traceback(tmp_path: Path) -> None:
    begun(tmp_path / "a", small_plan(configs=2))
    command = [sys.executable, "-m", "sweeps.show", "a", "--watch", "0.1", "--storage", str(tmp_path)]
    with (
        one_driver(SweepHome(tmp_path / "a"), is_new=False),
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
        ) as watching,
    ):
        assert watching.stdout
        assert watching.stderr
        watching.stdout.readline()
        time.sleep(0.3)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 130
        assert watching.stderr.read() == b""
