"""`python -m sweeps.show` as a command: mistakes, imports, and how watching ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.lock import one_driver
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


def test_a_list_of_sweeps_is_printed_with_nothing_heavy_imported(tmp_path: Path) -> None:
    plan = small_plan(configs=4)
    for number in range(3):
        Sweep(begun(tmp_path / f"sweep-{number}", plan), better_with_number).run()
    ended = fresh_module("sweeps.show", "--storage", str(tmp_path))
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 1 + 3
    assert HEAVY & ended.modules == set()


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
