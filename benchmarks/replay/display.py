"""The figures as tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from .answers import BUDGETS
from .intervals import Estimate
from .policies import FUSED
from .proposals import AT
from .stopping import GATE, GOAL, WORKERS, Figures, goal_met, verdicts

__all__ = ["show_ladders", "show_policies", "show_proposals", "show_rungs", "show_whole_sweeps"]


def show_policies(console: Console, figures: dict[str, dict[int, Figures]]) -> None:
    """Regrets and paired differences by policy, one table per number of workers, and the gate."""
    for workers in WORKERS:
        title = f"Regret x 1000 (AUROC) at a part of no stopping's compute, workers: {workers}; mean and 95 % interval"
        table = _table(title, ["policy", *map(_part, BUDGETS), "compute", "best stopped, %"])
        behind = _table(
            f"Regret x 1000 less that of {FUSED}, paired, workers: {workers}", ["policy", *map(_part, BUDGETS)]
        )
        for name, by_workers in figures.items():
            each = by_workers[workers]
            regrets = [_times(each.regret[budget], 1000) for budget in BUDGETS]
            table.add_row(name, *regrets, f"{each.compute.value:.3f}", _times(each.missed, 100, digits=0))
            if name != FUSED:
                stands = verdicts(figures, workers, GATE)[name]
                behind.add_row(f"{name}: fused {stands}", *(_times(each.behind[budget], 1000) for budget in BUDGETS))
        console.print(table, behind)
        _show_gate(console, figures, workers)


def show_whole_sweeps(console: Console, found: dict[str, Any]) -> None:
    """Regrets of whole sweeps at the gate's budget, and where fused blocks stand."""
    for unit, by_workers in found.items():
        for workers, figures in by_workers.items():
            title = f"Whole sweeps at {_part(GATE)} of no stopping's {unit}, workers: {workers}; regret x 1000"
            table = _table(title, ["policy", "configurations", "class-epochs", "regret", f"less {FUSED}", "fused"])
            for name, each in figures.items():
                regrets = (_times(Estimate(**each[key]), 1000) for key in ("regret", "behind"))
                table.add_row(name, str(each["configurations"]), f"{each['compute']:.3f}", *regrets, each["fused"])
            console.print(table)


def show_ladders(console: Console, found: dict[str, Any]) -> None:
    """Regrets of the ladder by table, and their share of no stopping's, also in the mean over the tables."""
    budgets = [_part(budget) for budget in found["budgets"]]
    for unit, by_workers in found["units"].items():
        for workers, by_table in by_workers.items():
            table = _table(
                f"Sweeps that cost a part of no stopping's {unit}, workers: {workers}; regret x 1000, and its share",
                ["table", "policy", *(f"at {budget}" for budget in budgets), *(f"share, {each}" for each in budgets)],
            )
            shares: dict[str, list[list[float]]] = {}
            for name, policies in by_table.items():
                for policy, each in policies.items():
                    shares.setdefault(policy, []).append(each["share"])
                    regrets = (_times(Estimate(**estimate), 1000) for estimate in each["regret"])
                    table.add_row(name, policy, *regrets, *(f"{share:.2f}" for share in each["share"]))
            for policy, each in shares.items():
                means = (f"{sum(column) / len(column):.2f}" for column in zip(*each, strict=True))
                table.add_row("mean of the tables", policy, *["" for _ in budgets], *means)
            console.print(table)
    for name, setting in found["chosen"].items():
        console.print(f"{name}: ladder chosen on the other tables: {setting or 'there are none'}")


def show_rungs(console: Console, found: dict[str, list[float]], rules: list[dict[str, Any]]) -> None:
    """Rank correlations by epoch, and the grid of rules."""
    epochs = range(1, len(found["all"]) + 1)
    table = _table("Rank correlation of the mean after an epoch with the last", ["over", *map(str, epochs)])
    for name, values in found.items():
        table.add_row(name, *(f"{value:.3f}" for value in values))
    title = f"Rules of BlockASHA, 1 worker: regret x 1000 at {_part(GATE)} of no stopping's compute"
    grid = _table(title, ["rules", "regret", "at the end", "compute", "best stopped, %"])
    for each in rules:
        given = ", ".join(f"{name} {value}" for name, value in each["rules"].items() if value is not None)
        regrets = (_times(Estimate(**each[name]), 1000) for name in ("regret", "regret at the end"))
        missed = _times(Estimate(**each["missed"]), 100, digits=0)
        grid.add_row(given, *regrets, f"{each['compute']['value']:.3f}", missed)
    console.print(table, grid)


def show_proposals(console: Console, found: dict[str, Any]) -> None:
    """The surrogate's quality, and regrets by sampler."""
    for name, quality in found["cross-validation"].items():
        held_out = ", ".join(f"{key} {value:.2f}" for key, value in quality.items())
        console.print(f"Surrogate {name}: held out {held_out}{'; used' if name == found['surrogate'] else ''}")
    default = 1000 * found["regret of the default"]
    console.print(f"The surrogate's best is {found['best']:.4f}, the default's regret x 1000 {default:.2f}")
    title = f"Regret x 1000 on the surrogate, {found['repetitions']} seeds; mean and 95 % interval"
    table = _table(title, ["sampler", *(f"{trials} trials" for trials in AT)])
    for name, regrets in found["regret"].items():
        table.add_row(name, *(_times(Estimate(**regrets[str(trials)]), 1000) for trials in AT))
    for name in found["absent"]:
        table.add_row(name, *["cmaes is not installed"] * len(AT))
    console.print(table)


def _show_gate(console: Console, figures: dict[str, dict[int, Figures]], workers: int) -> None:
    missed = [f"{stands} {name}" for name, stands in verdicts(figures, workers, GATE).items() if stands != "below"]
    gate = f"FAIL: {FUSED} {', '.join(missed)}" if missed else "PASS"
    console.print(f"Least regret of all at {_part(GATE)} of the compute, workers {workers}: {gate}")
    value = figures[FUSED][workers].regret[GATE].value
    verdict = "PASS" if goal_met(figures, workers) else "FAIL"
    console.print(f"{FUSED} within {GOAL} of the best: {verdict} ({value:.4f})\n")


def _table(title: str, columns: list[str]) -> RichTable:
    table = RichTable(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def _part(budget: float) -> str:
    return "1" if budget == 1 else f"1/{1 / budget:.0f}"


def _times(each: Estimate, factor: float, *, digits: int = 2) -> str:
    value, low, high = (number * factor for number in (each.value, each.low, each.high))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
