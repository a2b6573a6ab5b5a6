"""What does the driver of a sweep cost, and does that grow with the number of trials?

    python benchmarks/scale.py                     # about 15 minutes on 2 cores
    python benchmarks/scale.py --json FILE         # also all figures as JSON

A search of gan_loss_weights.py at the laptop scale, over ten classes, with trials that train nothing and report made-up
curves. Everything else is the engine's: ladder, Optuna's TPE, the record in SQLite, the monitor, the display, MLflow's
outbox and its writer into SQLite. A trial is a pack of one configuration: with larger packs there are fewer trials for
the same trainings.
1. Simulated: a loop calls searcher and monitor as Ray Tune does, with as many trials as it says.
2. Ray Tune itself, with fewer trials: it takes longer, and its own work is in the figures.
3. MLflow: the same search begins one configuration a second; the time until MLflow has taken all of it.

Costs are CPU time: of the thread that runs the driver's loop, and of all others (MLflow's writer, Ray's). Beside other
work it is a part higher, but MLflow's backlog may be many times as long. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from toy.measure import Backlog, Cost, drain, search

from sweeps.engine.machine.environment import prepare_environment
from sweeps.engine.planning.settings import SweepSettings

#: Configurations of the simulated searches (260 take 374 trials), and of that under Ray.
SIZES, RAY_SIZE = (260, 1900, 6200), 260
QUICK = (12, 24)
#: Configurations of the search that MLflow has to keep up with, and how many begin in a second.
PACED, PACE = 60, 1.0
#: Driver's CPU time of a trial at the second size over that at the first; that time in ms; memory of a trial in KB;
#: seconds after the end until MLflow has taken everything.
GROWTH, COST, MEMORY, BACKLOG = 1.2, 25.0, 20.0, 60.0


def run_all(console: Console, sizes: Sequence[int], *, quick: bool) -> tuple[list[Cost], list[Backlog]]:
    """Each search in a process of its own, one after another."""
    ray_size, paced, levels = (3, 4, ("config",)) if quick else (RAY_SIZE, PACED, ("class", "config"))
    context, costs = multiprocessing.get_context("spawn"), list[Cost]()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        database = Path(folder) / "mlflow.db"
        with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as processes:
            for size, with_ray in [*((size, False) for size in sizes), (ray_size, True)]:
                cost = processes.submit(search, database, size, with_ray=with_ray).result()
                console.print(
                    f"{cost.way}, {cost.trials} trials: {per_trial(cost):.1f} ms each, {cost.seconds:.0f} s; {load()}"
                )
                costs.append(cost)
            backlogs = [processes.submit(drain, database, paced, PACE, level).result() for level in levels]
    return costs, backlogs


def grown_per_trial(costs: Sequence[Cost]) -> float:
    """KB by which each trial makes the process grow: from the smallest to the largest simulated search."""
    simulated = [cost for cost in costs if cost.way == "simulated"]
    first, last = simulated[0], simulated[-1]
    return (last.grown - first.grown) / 1024 / (last.trials - first.trials)


def missed(costs: Sequence[Cost], backlogs: Sequence[Backlog]) -> list[str]:
    """The targets that were missed."""
    simulated = [cost for cost in costs if cost.way == "simulated"]
    found: list[str] = []
    if (growth := per_trial(simulated[1]) / per_trial(simulated[0])) > GROWTH:
        found.append(f"the cost of a trial grows by {growth:.2f} > {GROWTH}")
    found += [
        f"{per_trial(cost):.1f} > {COST:g} ms a trial at {cost.trials} trials"
        for cost in simulated
        if per_trial(cost) > COST
    ]
    if (memory := grown_per_trial(costs)) > MEMORY:
        found.append(f"{memory:.1f} > {MEMORY:g} KB a trial")
    return found + [
        f"MLflow, level {each.level}: {each.seconds:.0f} > {BACKLOG:g} s" for each in backlogs if each.seconds > BACKLOG
    ]


def per_trial(cost: Cost) -> float:
    """Milliseconds of the driver's loop."""
    return 1000 * cost.loop / cost.trials


def show(console: Console, costs: Sequence[Cost], backlogs: Sequence[Backlog]) -> None:
    """Print every figure."""
    table = Table(title="Cost of a search; ms are CPU time a trial")
    kinds = list(costs[0].by_kind)
    for name in ("", "trials", "config-\nurations", "driver's\nloop, ms", *(f"{kind},\nms" for kind in kinds)):
        table.add_column(name, justify="right")
    for name in (
        "other\nthreads, ms",
        "grown,\nMB",
        "opened\nagain, s",
        "MLflow's\nlevel",
        "updates\nwaiting",
        "wall, s",
    ):
        table.add_column(name, justify="right")
    for cost in costs:
        parts = [f"{1000 * cost.by_kind[kind] / cost.trials:.2f}" if cost.by_kind else "-" for kind in kinds]
        table.add_row(
            cost.way, str(cost.trials), str(cost.configurations), f"{per_trial(cost):.1f}", *parts,
            f"{1000 * cost.others / cost.trials:.1f}", f"{cost.grown / 2**20:.0f}", f"{cost.reopened:.2f}",
            cost.level, str(cost.waiting), f"{cost.seconds:.0f}",
        )  # fmt: skip
    console.print(table)
    for each in backlogs:
        console.print(
            f"MLflow, level {each.level}: {each.configurations} configurations ({each.trials} trials) at "
            f"{each.pace:g} a second: {each.calls / each.configurations:.1f} calls each; {each.left} updates waited at "
            f"the end, none {each.seconds:.1f} s later"
        )
    first, second = [cost for cost in costs if cost.way == "simulated"][:2]
    console.print(
        f"a trial costs {per_trial(second) / per_trial(first):.2f} times as much at {second.trials} trials as at "
        f"{first.trials}; {grown_per_trial(costs):.1f} KB a trial"
    )


def load() -> str:
    """How busy the machine is, apart from this."""
    return f"load {os.getloadavg()[0]:.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, help=f"configurations of the simulated searches {list(SIZES)}"
    )
    parser.add_argument("--quick", action="store_true", help="a few trials: says that it runs")
    flags = parser.parse_args()
    if flags.quick and flags.json:
        parser.error("--quick with --json: its figures say nothing; leave one of them out")
    if len(flags.sizes) < 2:
        parser.error("--sizes: expected at least two, from few to many: the second is compared with the first")
    prepare_environment(SweepSettings())  # before the processes import Ray
    console, started, before = Console(width=200), time.perf_counter(), load()
    costs, backlogs = run_all(console, QUICK if flags.quick else flags.sizes, quick=flags.quick)
    show(console, costs, backlogs)
    machine = f"{os.cpu_count()} cores, {platform.machine()}; {before} before, {load()} after"
    seconds = round(time.perf_counter() - started)
    console.print(f"{machine}; ray {version('ray')}, optuna {version('optuna')}; {seconds} s, n = 1")
    unmet = missed(costs, backlogs)
    if flags.json:
        found: dict[str, Any] = {
            "machine": machine,
            "seconds": seconds,
            "versions": {name: version(name) for name in ("ray", "optuna", "mlflow")},
            "costs": [dataclasses.asdict(cost) for cost in costs],
            "backlogs": [dataclasses.asdict(each) for each in backlogs],
            "missed": unmet,
        }
        flags.json.write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"Targets: {f'MISSED: {unmet}' if unmet else 'met'}")
    return int(bool(unmet) and not flags.quick)


if __name__ == "__main__":
    sys.exit(main())
