"""The live display, in a terminal of 80 columns and in a file."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from sweeps.engine.driver import driver_console
from sweeps.engine.live.display import Display

COUNTS = "24 of 24 configurations begun: 3 training, 19 stopped for now, 2 complete"


def _shown(console: Console) -> str:
    display = Display(console)
    display.begin("search by class", 100, 0)
    display.add_epochs("a", 30, 2850)
    display.update(COUNTS, 0.9749, event=True)
    display.end()
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_narrow_terminal_shows_stage_time_left_clock_and_every_count() -> None:
    text = _shown(Console(file=StringIO(), width=80, force_terminal=True))
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", text)]
    assert max(map(len, lines)) <= 80
    bar = [line for line in lines if "━" in line][-1]
    assert "search by class" in bar
    assert re.search(r"at most \d+ s left", bar)
    assert re.search(r"\d:\d\d:\d\d", bar)
    words = " ".join(" ".join(lines).split())
    assert f"{COUNTS} | best mean AUROC 0.9749 | 2850 images/s" in words


def test_a_file_gets_one_line_and_no_speed_between_two_trials() -> None:
    assert re.fullmatch(
        rf"search by class: {COUNTS} \| best mean AUROC 0\.9749 \| 2850 images/s \| at most \d+ s left\n",
        _shown(Console(file=StringIO(), width=140)),
    )
    display = Display(console := Console(file=StringIO(), width=140))
    display.begin("search", 100, 0)
    display.add_epochs("a", 30, 2850)
    display.end_trial("a")
    display.update(COUNTS, None, event=True)
    assert "images/s" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_names_with_brackets_and_colons_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table, name = Table(title="of [new] parts"), "[old] screws :cat:"
    table.add_row(name)
    display = Display(driver_console())
    display.print(f"resume: --storage '/data/{name}'")
    display.print(table)
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == f"resume: --storage '/data/{name}'"
    assert printed.count(name) == 2
    assert "of [new] parts" in printed


def test_without_an_event_an_update_is_due_after_a_while() -> None:
    display = Display(console := Console(file=StringIO(), width=140))
    display.begin("search", 100, 0)
    display.update(COUNTS, None, event=True)
    assert not display.is_due(event=False)
    display.update("other counts", None, event=False)
    assert "other counts" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert display.is_due(event=True)
    display.printed_at -= 31
    assert display.is_due(event=False)


def test_the_time_left_is_never_more_than_a_limit_leaves() -> None:
    display = Display(console := Console(file=StringIO(), width=140))
    display.begin("search", 1e9, 0)
    display.add_epochs("a", 1, 100)
    display.most_left = 40.0
    display.update(COUNTS, None, event=True)
    assert "at most 40 s left" in console.file.getvalue()  # type: ignore[attr-defined]
