"""Sweeps for a reader: a table of all, and the lines about one."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from adcore.metric_names import in_words
from sweeps.engine.machine.commands import browse_command
from sweeps.engine.show.status import SweepStatus

__all__ = ["list_of", "page_of"]

#: What counts hold besides a number for each state.
NO_STATES = ("of", "planned", "tried", "by_class")


def list_of(found: Sequence[SweepStatus]) -> RenderableType:
    """A row for each sweep, and below the table a line for each that cannot be shown."""
    if not found:
        return Text("no sweeps")
    table = Table(box=None, pad_edge=False)
    for name in ("sweep", "script", "data", "state", "stage", "done", "best", "started", "changed"):
        table.add_column(name, overflow="fold")
    for each in found:
        best = f"{each.best['value']:.4f}{_over(each)}" if each.best else ""
        now = _counted_now(each)
        done = f"{now['tried']} of {now['planned']}" if now else ""
        times = (_time(each.started), _time(each.changed))
        cells = (each.name, each.script, ", ".join(each.data), each.state, each.stage, done, best, *times)
        table.add_row(*(Text(cell or "") for cell in cells))
    return Group(table, *(Text(f"{each.name}: {each.error}") for each in found if each.error))


def page_of(each: SweepStatus) -> RenderableType:
    """All that is known of one sweep, a line for each fact."""
    lines = [(name, value) for name, value in _facts(each) if value]
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(Text(name), Text(value))
    return table


def _facts(each: SweepStatus) -> list[tuple[str, str]]:
    stage = f", {each.stage}" if each.stage else ""
    return [
        ("sweep", each.name),
        ("state", f"{each.state}{stage}{_left(each.seconds_left)}"),
        ("error", each.error),
        ("reason", each.reason),
        *(("failed", line) for line in each.failures),
        ("what", f"{each.script}, scale {each.scale}, {', '.join(each.data)}" if each.script else ""),
        ("metric", in_words(each.metric) if each.metric else ""),
        ("since", f"{_time(each.started)}, last change {_time(each.changed)}" if each.started else ""),
        ("done", _counts(each.counts)),
        ("best so far", _best(each)),
        *(("", f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}")
          for name, value in (each.best["params"] if each.best else {}).items()),
        *(("confirmed", _confirmed(one)) for one in each.confirmed),
        *_results(each.results),
        ("test part", f"opened {', '.join(each.test_openings)}" if each.test_openings else ""),
        *((name, path) for name, path in each.files.items()),
        ("browse", browse_command(each.mlflow) if each.mlflow else ""),
        ("resume", each.resume or ""),
    ]  # fmt: skip


def _counts(counts: dict[str, Any] | None) -> str:
    if counts is None:
        return ""
    states = ", ".join(f"{number} {name}" for name, number in counts.items() if name not in NO_STATES)
    own = counts.get("by_class")
    by_class = f"; by class {own['tried']} of {own['planned']}" if own else ""
    return f"{counts['tried']} of {counts['planned']} {counts['of']} ({states}){by_class}"


def _counted_now(each: SweepStatus) -> dict[str, Any] | None:
    """The counts of the search that the stage is about: of all classes together, or of each class's own."""
    if each.counts and each.stage in ("search by class", "confirm by class"):
        return each.counts["by_class"]
    return each.counts


def _best(each: SweepStatus) -> str:
    if not each.best:
        return ""
    named = f" ({each.best['name']})" if each.best["name"] else ""
    return f"{each.best['value']:.4f}{_over(each)}, configuration {each.best['configuration']}{named}"


def _over(each: SweepStatus) -> str:
    assert each.best
    return f" ({each.best['classes']} x {each.best['epochs']})"


def _confirmed(one: dict[str, Any]) -> str:
    named = f" ({one['name']})" if one["name"] else ""
    tested = f", test {fmean(one['test']):.4f}" if one["test"] else ""
    of = f"{len(one['confirm'])} seed{'s' * (len(one['confirm']) != 1)}"
    return f"configuration {one['configuration']}{named}: {fmean(one['confirm']):.4f} ({of}){tested}"


def _results(results: dict[str, Any] | None) -> list[tuple[str, str]]:
    if not results:
        return []
    tests = ((f"test {name}".rstrip(), each) for name, each in results["test"].items())
    rows = [(name, _interval(each)) for name, each in (("validation", results["confirm"]), *tests)]
    sentences = [("", results[name]) for name in ("sentence", "per_class") if name in results]
    return [("winner", f"configuration {results['winner']['configuration']}"), *rows, *sentences]


def _interval(each: dict[str, float]) -> str:
    return f"{each['value']:.4f} (95 % interval {each['low']:.4f} to {each['high']:.4f})"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    shown = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return f", at most about {shown} left in this stage"


def _time(text: str | None) -> str:
    return text[:16].replace("T", " ") if text else ""
