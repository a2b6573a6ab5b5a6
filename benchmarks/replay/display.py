"""The figures as tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from .intervals import Estimate

__all__ = ["show_ladders", "show_proposals"]


def show_ladders(console: Console, found: dict[str, Any]) -> None:
    """Regrets by policy and table, and their share of no stopping's in the mean over the tables."""
    budgets = [_part(budget) for budget in found["budgets"]]
    for unit, by_workers in found["units"].items():
        for workers, each in by_workers.items():
            title = f"Sweeps that cost a part of no stopping's {unit}, workers: {workers}; regret x 1000"
            table = _table(title, ["table", "policy", *(f"at {budget}" for budget in budgets), "at the end"])
            for name, policies in each["tables"].items():
                for policy, figures in policies.items():
                    regrets = (_times(Estimate(**estimate), 1000) for estimate in [*figures["regret"], figures["end"]])
                    table.add_row(name, policy, *regrets)
            shares = _table("The same, as a share of no stopping's: mean over the tables", ["policy", *budgets])
            for policy, estimates in each["mean share"].items():
                shares.add_row(policy, *(_times(Estimate(**estimate), 1) for estimate in estimates))
            console.print(table, shares)
    for name, setting in found["chosen"].items():
        console.print(f"{name}: ladder chosen on the other tables: {setting or 'there are none'}")


def show_proposals(console: Console, found: dict[str, Any]) -> None:
    """The surrogate's quality, and regrets by sampler and what it learns from."""
    for name, quality in found["cross-validation"].items():
        held_out = ", ".join(f"{key} {value:.2f}" for key, value in quality.items())
        console.print(f"Surrogate {name}: held out {held_out}{'; used' if name == found['surrogate'] else ''}")
    title = (
        f"Regret x 1000 on the surrogate (its best: {found['best']:.4f}) of ladder searches of "
        f"{found['configurations']} configurations; seeds: {found['repetitions']}"
    )
    table = _table(title, ["sampler", *found["regret"]["random"], "gain", "less than random"])
    for name, by_source in found["regret"].items():
        cells = [*by_source.values(), found["gain"][name], found["less than random"][name]]
        table.add_row(name, *(_times(Estimate(**each), 1000) for each in cells))
    for name in found["absent"]:
        table.add_row(name, "its package is not installed")
    console.print(table)


def _table(title: str, columns: list[str]) -> RichTable:
    table = RichTable(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name in ("policy", "table", "sampler") else "right")
    return table


def _part(budget: float) -> str:
    return "1" if budget == 1 else f"1/{1 / budget:.0f}"


def _times(each: Estimate, factor: float, *, digits: int = 2) -> str:
    value, low, high = (number * factor for number in (each.value, each.low, each.high))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
