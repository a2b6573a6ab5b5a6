"""Does the ladder find good configurations for less compute? A replay of recorded learning curves.

    python benchmarks/search.py                          # under ten minutes on 2 slow cores
    python benchmarks/search.py --json /tmp/search.json  # also all figures as JSON
    python benchmarks/search.py --table FILE             # the ladder alone, on other tables; may be repeated

The curves (benchmarks/record_curves.py) are replayed in simulated time, the configurations in many random orders:
through the ladder of a sweep (sweeps/engine/planning/ladder.py), and through Ray's own searchers and schedulers.
1. Stopping: the regret of sweeps that cost a part of what training everything to its end costs, in class-epochs and in
   machine time (benchmarks/pack_speeds.py), on every table, each also with the ladder that is best on the others.
   A ladder plans for its budget; the others are cut there, and answer from what is finished. At the end: the regret of
   a whole sweep over all configurations of the table.
2. Proposals: whole searches with each of Optuna's samplers on a surrogate fitted to the first table, told of what the
   configurations that were stopped are predicted to have, or of complete ones alone.

Intervals are over orders (1) or seeds (2), so they say nothing of other data sets. Curves of the GAN were recorded with
all classes in one network: where a configuration diverged they end in all classes. Exits with 1 if the ladder that was
chosen on the other tables misses a target.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna
from replay.display import show_ladders, show_proposals
from replay.ladders import compare_ladders
from replay.proposals import compare_samplers
from replay.table import load_table
from rich.console import Console

CURVES = Path(__file__).parent / "curves"
#: The table that the surrogate is fitted to.
FIRST = "fashion_mnist"
#: Mean share of no stopping's regret that may be left, by unit, workers and budget.
TARGETS = {
    ("class-epochs", "1", 1 / 8): 0.35,
    ("class-epochs", "1", 1 / 4): 0.12,
    ("machine time", "2", 1 / 8): 0.5,
    ("machine time", "2", 1 / 4): 0.2,
}
#: Regret that a sweep may leave for half of what no stopping costs, AUROC. A whole sweep of ASHA over configurations
#: costs 0.61 of it.
END = 0.00002
JUDGED = "ladder chosen elsewhere"


def quiet() -> None:
    """In each process: no log lines of Optuna, no warning of a percentile over NaN alone."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


def unmet(found: dict[str, Any]) -> list[str]:
    """The targets that were missed."""
    missed: list[str] = []
    for (unit, workers, budget), target in TARGETS.items():
        share = found["units"][unit][workers]["mean share"][JUDGED][found["budgets"].index(budget)]["value"]
        if share > target:
            missed.append(f"{unit} at 1/{1 / budget:.0f}: {share:.2f} > {target}")
    by_table, half = found["units"]["class-epochs"]["1"]["tables"], found["budgets"].index(1 / 2)
    end = sum(policies[JUDGED]["regret"][half]["value"] for policies in by_table.values()) / len(by_table)
    return missed if end <= END else [*missed, f"regret at 1/2: {1000 * end:.3f} > {1000 * END:g} thousandths"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, action="append", help="file of record_curves.py; the ladder alone")
    parser.add_argument("--permutations", type=int, default=200, help="orders of the configurations [200]")
    parser.add_argument("--seed", type=int, default=0, help="of the orders and the samplers [0]")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="two orders and no samplers: says that it runs")
    flags = parser.parse_args()
    if flags.quick and flags.json:
        parser.error("--quick with --json: its figures say nothing; leave one of them out")
    if missing := [str(path) for path in flags.table or [] if not path.is_file()]:
        parser.error(f"--table {', '.join(missing)}: no such file")
    permutations, started, console = 2 if flags.quick else flags.permutations, time.perf_counter(), Console(width=160)
    quiet()
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes of the pool, one per core
    paths = flags.table or sorted(CURVES.glob("*.json"))
    tables = {path.stem: load_table(path)[0] for path in paths}
    proposals = None
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), quiet) as pool:
        ladders = compare_ladders(pool, tables, permutations, flags.seed)
        show_ladders(console, ladders)
        if not flags.quick and not flags.table:  # they take minutes, however few the orders
            proposals = compare_samplers(pool, tables[FIRST], flags.seed)
            show_proposals(console, proposals)
    seconds = round(time.perf_counter() - started)
    console.print(f"{permutations} orders of {', '.join(tables)}, {seconds} s")
    if flags.json:
        found = {
            "permutations": permutations,
            "seed": flags.seed,
            "seconds": seconds,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "versions": {name: version(name) for name in ("ray", "optuna", "scikit-learn")},
            "configurations": {name: len(table.params) for name, table in tables.items()},
            "best": {name: table.finals[table.best] for name, table in tables.items()},
            "ladders": ladders,
            "proposals": proposals,
        }
        flags.json.write_text(json.dumps(found, indent=1) + "\n")
    if flags.table:
        return
    missed = unmet(ladders)
    console.print(f"Targets: {f'MISSED: {missed}' if missed else 'met'}")
    if missed and not flags.quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
