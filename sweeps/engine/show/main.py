"""`python -m sweeps.show`: the sweeps of a storage, or one of them, now or until it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.live import Live

from adcore.command_line import run
from adcore.errors import UserError
from adcore.system.output import PLAIN, is_lost
from sweeps.engine.planning.run_settings import RunSettings, check_sweep_name
from sweeps.engine.record.home import RECORD, SweepHome
from sweeps.engine.show.status import SweepStatus, all_statuses, status_of
from sweeps.engine.show.text import sweep_page, sweeps_table

__all__ = ["main"]

_HELP = """Show the sweeps of a storage or, with NAME, one of them: running or ended.

Records are read only; nothing is started, written or created."""

#: Seconds between two looks.
SECONDS = 2.0
#: Width in columns of output to a file or a pipe.
FILE_WIDTH = 200


class _Seconds(click.ParamType):  # pyright: ignore[reportMissingTypeArgument] # generic from click 8.4 on
    """Seconds from 0.1 to 3600."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r}: expected seconds; a sweep's NAME goes before --watch", param, ctx)
        if not 0.1 <= seconds <= 3600:
            self.fail(f"{value}: expected seconds from 0.1 to 3600", param, ctx)
        return seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Parse argv and show. Exits with 0, with 2 for bad input, with 130 after Ctrl-C."""
    name = click.Argument(["name"], required=False, shell_complete=_names)
    storage = click.Option(["--storage"], default=RunSettings.storage, help="folder of the sweeps", show_default=True)
    as_json = click.Option(["--json", "as_json"], is_flag=True, help="print JSON, with --watch a line for each look")
    watch = click.Option(
        ["--watch"], is_flag=False, flag_value=SECONDS, type=_Seconds(), metavar="[SECONDS]",
        help=f"after NAME: look again every so many seconds until nothing runs any more [default: {SECONDS:g}]",
    )  # fmt: skip
    run("python -m sweeps.show", _HELP, [name, storage, as_json, watch], _show, argv)


def _show(storage: str, name: str | None = None, as_json: bool = False, watch: float | None = None) -> None:
    try:
        folder = Path(storage).expanduser().resolve()
        is_missing = storage == RunSettings.storage and not folder.exists()
    except (OSError, RuntimeError) as error:  # circular links, the home folder of an unknown user
        raise UserError(f"--storage {storage!r}: not a usable folder ({error})") from error
    check_sweep_name(name)
    if is_missing and not name:
        click.echo("[]" if as_json else "no sweeps")
        return

    def look() -> list[SweepStatus]:
        return [_readable(folder / name, is_shown=as_json or watch is not None)] if name else all_statuses(folder)

    def as_plain(statuses: list[SweepStatus]) -> Any:
        return statuses[0].as_plain() if name else [each.as_plain() for each in statuses]

    if as_json:
        indent = None if watch else 1
        _repeat(look, lambda statuses: click.echo(json.dumps(as_plain(statuses), indent=indent)), watch)
        return
    console = Console(**PLAIN)
    if not console.is_terminal:
        console = Console(**PLAIN, width=FILE_WIDTH)

    def rendered(statuses: list[SweepStatus]) -> RenderableType:
        return sweep_page(statuses[0]) if name else sweeps_table(statuses, console.width)

    if watch and console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            _repeat(look, lambda statuses: live.update(rendered(statuses), refresh=True), watch)
    else:
        _repeat(look, lambda statuses: console.print(rendered(statuses)), watch)


def _readable(folder: Path, *, is_shown: bool) -> SweepStatus:
    """A sweep's status. Raises UserError if its record cannot be read, unless such an error is shown with the rest."""
    status = status_of(SweepHome(folder))
    if status.error and not is_shown:
        raise UserError(status.error)
    return status


def _repeat(
    look: Callable[[], list[SweepStatus]], show: Callable[[list[SweepStatus]], None], watch: float | None
) -> None:
    """Look and show, again and again if `watch` says after how many seconds, until nothing runs or nobody reads."""
    while True:
        show(statuses := look())
        if not watch or is_lost() or not any(each.is_running for each in statuses):
            return
        time.sleep(watch)


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names to complete: the sweeps of the storage."""
    try:
        folder = Path(context.params.get("storage") or RunSettings.storage).expanduser()
        return sorted(path.parent.name for path in folder.glob(f"{incomplete}*/{RECORD}"))
    except (OSError, ValueError, RuntimeError):
        return []
