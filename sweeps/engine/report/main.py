"""The command that makes a report again; called by sweeps/report.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from adcore.command_line import dataclass_flags, run
from adcore.errors import UserError
from sweeps.engine.machine.code import check_one_root
from sweeps.engine.planning.run_settings import RunSettings, check_sweep_name
from sweeps.engine.record.find_home import find_home
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.lock import one_driver

__all__ = ["main"]


def main(script: str, text: str, argv: Sequence[str] | None = None) -> None:
    """Parse argv and write the report. Exits with 0, or 2 for bad input."""
    name = click.Argument(["resume"], metavar="NAME", callback=_checked)
    storage = [flag for flag in dataclass_flags(RunSettings) if flag.name == "storage"]

    def body(**given: Any) -> int:
        check_one_root()
        home = find_home(script, RunSettings(**given))
        with one_driver(home, is_new=False):
            click.echo(f"report:  {_report(home)}")
        return 0

    run(f"sweeps/{script}.py", text, [name, *storage], body, argv)


def _checked(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    check_sweep_name(name)
    return name


def _report(home: SweepHome) -> Path:
    from adcore.system.backend import FILES_ALONE

    os.environ.update(FILES_ALONE)
    from sweeps.engine.record.stored_plan import read_record
    from sweeps.engine.report.render import write_report

    try:
        return write_report(home, read_record(home))
    except OSError as error:
        raise UserError(f"{home.report}: cannot be written ({error.strerror})") from error
