"""Sweeps for a reader: a table of all, and the lines about one."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from adcore.metric_names import in_words, with_interval
from sweeps.engine.machine.commands import browse_command
from sweeps.engine.show.status import SweepStatus

__all__ = ["sweep_page", "sweeps_table"]

#: Columns from which all is shown of each sweep in a table.
WIDE = 150
#: Columns of a narrower table that take several lines if they must, and the least width of a sweep's name.
FOLDED, MIN_NAME = ("sweep", "state"), 12
#: What counts hold besides a number for each state.
NO_STATES = ("of", "planned", "tried", "by_class")


def sweeps_table(statuses: Sequence[SweepStatus], width: int) -> RenderableType:
    """A row for each sweep, and below the table a line for each that cannot be shown.

    width: in columns; below WIDE, what was swept and when it started is left out.
    """
    if not statuses:
        return Text("no sweeps")
    table = Table(box=None, pad_edge=False)
    is_wide = width >= WIDE
    rows = [_cells(status, is_wide=is_wide) for status in statuses]
    for name in rows[0]:
        if is_wide or name in FOLDED:
            table.add_column(name, overflow="fold", min_width=MIN_NAME if name == "sweep" else None)
        else:
            table.add_column(name, overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row.values()))
    return Group(table, *(Text(f"{each.name}: {each.error}") for each in statuses if each.error))


def _cells(status: SweepStatus, *, is_wide: bool) -> dict[str, str]:
    """A sweep's row, by column."""
    now, stage = _current_counts(status), status.stage or ""
    done = f"{now['tried']} of {now['planned']}" if now else ""
    values = {"tried": done, "validation": _best_in_short(status), "test": _test(status)}
    if not is_wide:
        state = ", ".join(filter(None, (status.state, stage)))
        return {"sweep": status.name, "state": state, **values, "changed": _time(status.changed)[5:]}
    what = {"sweep": status.name, "script": status.script or "", "data": ", ".join(status.data)}
    times = {"started": _time(status.started), "changed": _time(status.changed)}
    return {**what, "state": status.state, "stage": stage, **values, **times}


def sweep_page(status: SweepStatus) -> RenderableType:
    """All that is known of one sweep, a line for each fact."""
    lines = [(name, value) for name, value in _facts(status) if value]
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(Text(name), Text(value))
    return table


def _facts(status: SweepStatus) -> list[tuple[str, str]]:
    stage = f", {status.stage}" if status.stage else ""
    return [
        ("sweep", status.name),
        ("state", f"{status.state}{stage}{_left(status.seconds_left)}"),
        ("error", status.error),
        ("reason", status.reason),
        *(("failed", line) for line in status.failures),
        ("what", f"{status.script}, scale {status.scale}, {', '.join(status.data)}" if status.script else ""),
        ("metric", in_words(status.metric) if status.metric else ""),
        ("since", f"{_time(status.started)}, last change {_time(status.changed)}" if status.started else ""),
        ("results", _counts(status.counts)),
        ("best so far", "" if status.results else _best(status)),
        *([] if status.results or not status.best else _params(status.best["params"])),
        *(("confirmed", _confirmed(confirmation)) for confirmation in status.confirmed),
        *_results(status),
        ("test part", f"opened {', '.join(status.test_openings)}" if status.test_openings else ""),
        *((name, path) for name, path in status.files.items()),
        ("browse", browse_command(status.mlflow) if status.mlflow else ""),
        ("resume", "" if status.is_running else status.resume or ""),
    ]  # fmt: skip


def _counts(counts: dict[str, Any] | None) -> str:
    if counts is None:
        return ""
    words = {"running": "in training or stopped for now"}  # some train, others wait: a record does not tell which
    numbers = ((name, number) for name, number in counts.items() if name not in NO_STATES and number)
    states = ", ".join(f"{number} {words.get(name, name)}" for name, number in numbers)
    class_counts = counts.get("by_class")
    by_class = f"; by class {class_counts['tried']} of {class_counts['planned']}" if class_counts else ""
    return f"of {counts['tried']} of {counts['planned']} {counts['of']}{f'; {states}' if states else ''}{by_class}"


def _current_counts(status: SweepStatus) -> dict[str, Any] | None:
    """The counts of the search that the stage is about: of all classes together, or of each class's own."""
    if status.counts and status.stage in ("search by class", "confirm by class"):
        return status.counts["by_class"]
    return status.counts


def _best(status: SweepStatus) -> str:
    if not status.best:
        return ""
    named = f" ({status.best['name']})" if status.best["name"] else ""
    return f"{status.best['value']:.4f}{_over(status)}, configuration {status.best['configuration']}{named}"


def _best_in_short(status: SweepStatus) -> str:
    """The winner's confirmed mean; as long as there is none, the best one of the search, and of how much it is."""
    if status.results:
        return f"{status.results['confirm']['value']:.4f}"
    return f"{status.best['value']:.4f}{_over(status)}" if status.best else ""


def _test(status: SweepStatus) -> str:
    """The winner's mean on the test part, of all anomalies; empty before the end."""
    return f"{status.results['test']['']['value']:.4f}" if status.results else ""


def _params(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("", f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}") for name, value in values.items()
    ]


def _over(status: SweepStatus) -> str:
    assert status.best
    return f" ({status.best['classes']} x {status.best['epochs']})"


def _confirmed(confirmation: dict[str, Any]) -> str:
    named = f" ({confirmation['name']})" if confirmation["name"] else ""
    tested = f", test {fmean(confirmation['test']):.4f}" if confirmation["test"] else ""
    of = f"{len(confirmation['confirm'])} seed{'s' * (len(confirmation['confirm']) != 1)}"
    return f"configuration {confirmation['configuration']}{named}: {fmean(confirmation['confirm']):.4f} ({of}){tested}"


def _results(status: SweepStatus) -> list[tuple[str, str]]:
    results = status.results
    if not results:
        return []
    tests = ((f"test {name}".rstrip(), each) for name, each in results["test"].items())
    rows = [(name, with_interval(**each)) for name, each in (("validation", results["confirm"]), *tests)]
    sentences = [("", results[name]) for name in ("sentence", "per_class") if name in results]
    params = {name: value for name, value in results["winner"].items() if name != "configuration"}
    number = results["winner"]["configuration"]
    name = next((each["name"] for each in status.confirmed if each["configuration"] == number), "")
    winner = [("winner", f"configuration {number}{f' ({name})' if name else ''}"), *_params(params)]
    return [*winner, *rows, *sentences]


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    shown = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return f", at most about {shown} left in this stage"


def _time(text: str | None) -> str:
    return text[:16].replace("T", " ") if text else ""
