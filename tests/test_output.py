"""A standard output or error that takes nothing more, or not every character."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: A program that prints, works, and prints again.
PROGRAM = """
import sys, time
from pathlib import Path
from adcore.command_line import run

def body():
    from rich.console import Console
    for line in range(20):
        print("line", line, flush=True)
        time.sleep(0.01)
    Console().print("a table")
    print("a remark", file=sys.stderr)
    Path(sys.argv[1]).write_text("done")

run("program", "help", [], body, [], on_record={on_record})
"""
FULL = "standard output: No space left on device"


def _ran(tmp_path: Path, redirection: str, *, on_record: bool) -> tuple[int, str, str]:
    """Exit code of the program in a shell, what it worked, and what came to stderr where that was not redirected."""
    script, done = tmp_path / "program.py", tmp_path / "done"
    script.write_text(PROGRAM.format(on_record=on_record))
    command = f"set -o pipefail; '{sys.executable}' '{script}' '{done}' {redirection}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=240, env={**os.environ})
    return ran.returncode, done.read_text() if done.exists() else "", ran.stderr


@pytest.mark.parametrize("redirection", ["| head -1", ">&-", "2>&-", ">&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("on_record", [True, False])
def test_a_program_that_nobody_listens_to_goes_on_to_its_end(redirection: str, on_record: bool, tmp_path: Path) -> None:
    code, done, error = _ran(tmp_path, redirection, on_record=on_record)
    assert (code, done) == (0, "done")
    assert error in ("a remark\n", "")


@pytest.mark.parametrize(("on_record", "code"), [(True, 0), (False, 1)])
def test_a_full_disk_ends_nothing_and_is_said_at_the_end(on_record: bool, code: int, tmp_path: Path) -> None:
    found, done, error = _ran(tmp_path, ">/dev/full", on_record=on_record)
    assert (found, done) == (code, "done")
    assert error.splitlines()[0] == "a remark"
    assert FULL in error.splitlines()[1]
    assert ("all is on record" in error) == on_record
    assert len(error.splitlines()) == 2


@pytest.mark.parametrize("text", ["r\u00e9sultats \u2014 \u7bb1", "not UTF-8: \udcff"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_character_that_a_stream_cannot_take_is_shown_by_its_number(encoding: str, text: str) -> None:
    code = f"""
import sys
from adcore.system.output import keep_going
keep_going()
for stream in (sys.stdout, sys.stderr):
    print({text!a}, file=stream)
"""
    own = {**os.environ, "PYTHONIOENCODING": encoding}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, env=own, timeout=240, check=False)
    expected = text.encode(encoding, "backslashreplace") + b"\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, expected, expected)


def test_lines_come_at_once_also_where_python_is_told_not_to_buffer(tmp_path: Path) -> None:
    code = """
import os, sys
from adcore.system.output import keep_going
keep_going()
print("out")
print("err", file=sys.stderr)
os._exit(0)
"""
    for unbuffered in ("1", ""):
        out, error = (tmp_path / f"{name}{unbuffered}" for name in ("out", "err"))
        with out.open("w") as one, error.open("w") as other:
            own = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
            subprocess.run([sys.executable, "-c", code], stdout=one, stderr=other, env=own, timeout=240, check=True)
        assert error.read_text() == "err\n"
        assert out.read_text() == ("out\n" if unbuffered else "")
