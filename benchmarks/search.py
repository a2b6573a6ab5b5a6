"""Does stopping whole configurations find good ones for less compute? A replay of recorded learning curves.

    python benchmarks/search.py                          # eight minutes on 2 cores
    python benchmarks/search.py --json /tmp/search.json  # also all figures as JSON
    python benchmarks/search.py --table FILE             # the ladder alone, on another table; may be repeated

The curves (benchmarks/record_curves.py) are replayed through the searchers and schedulers that a sweep uses and through
Ray's own, in simulated time, the configurations in many random orders. Answered:
0. The ladder over classes and epochs (sweeps/engine/ladder.py), on every table: regret at equal cost, in class-epochs
   and in machine time, each table judged by the ladder that is best on the others.
1. Stopping: the regret of each policy at equal compute, on 1, 4 and 16 workers: sweeps that are cut at a budget, and
   whole sweeps of as many configurations as the budget pays for. The gate: whole sweeps of fused blocks have less
   regret than no stopping, Repeater, ASHA over trials and blocks split into single classes, at a quarter of the machine
   time of training everything to its end.
2. Rungs: how soon the ranking after an epoch is that after the last, and what grace, reduction and guards cost (on
   half of the orders).
3. Proposals: the regret of samplers on a surrogate fitted to the table.

Intervals are over orders (1, 2) or seeds (3) of one table, so they say nothing of other data sets. A policy that stops
early has no more configurations to spend the rest of a budget on, as a sweep would have. Curves were recorded with all
classes in one network: where a configuration diverged they end in all classes. Exits with 1 if the gate fails.
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

import optuna
from replay.display import show_ladders, show_policies, show_proposals, show_rungs, show_whole_sweeps
from replay.equal import compare_whole_sweeps, unmet
from replay.ladders import compare_ladders
from replay.proposals import compare_samplers
from replay.rungs import correlations, try_rules
from replay.stopping import compare_policies, orders_of, summary
from replay.table import load_table
from rich.console import Console

CURVES = Path(__file__).parent / "curves" / "fashion_mnist.json"


def quiet() -> None:
    """In each process: no log lines of Optuna, no warning of a percentile over NaN alone."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", RuntimeWarning)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, action="append", help="file of record_curves.py --pack; the ladder alone")
    parser.add_argument("--curves", type=Path, default=CURVES, help="file of record_curves.py --pack")
    parser.add_argument("--permutations", type=int, default=200, help="orders of the configurations [200]")
    parser.add_argument("--seed", type=int, default=0, help="of the orders and the samplers [0]")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="two orders and no samplers: says that it runs")
    flags = parser.parse_args()
    if flags.quick and flags.json:
        parser.error("--quick with --json: its figures say nothing; leave one of them out")
    if missing := [str(path) for path in flags.table or [] if not path.is_file()]:
        parser.error(f"--table {', '.join(missing)}: no such file")
    permutations = 2 if flags.quick else flags.permutations
    started = time.perf_counter()
    quiet()
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes of the pool, one per core
    table, origin = load_table(flags.curves)
    orders = orders_of(table, permutations, flags.seed)
    console = Console(width=160)
    paths = flags.table or sorted(CURVES.parent.glob("*.json"))
    tables = {path.stem: load_table(path)[0] for path in paths}
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), quiet) as pool:
        ladders = compare_ladders(pool, tables, permutations, flags.seed)
        show_ladders(console, ladders)
        if flags.table:
            if flags.json:
                flags.json.write_text(json.dumps(ladders, indent=1) + "\n")
            return
        figures = compare_policies(pool, table, orders)
        show_policies(console, figures)
        whole = compare_whole_sweeps(pool, table, orders)
        show_whole_sweeps(console, whole)
        rank, rules = correlations(table), try_rules(pool, table, orders[: (len(orders) + 1) // 2])
        show_rungs(console, rank, rules)
        if not flags.quick:  # they take minutes, however few the orders
            proposals = compare_samplers(pool, table, flags.seed)
            show_proposals(console, proposals)
    seconds = round(time.perf_counter() - started)
    console.print(f"{permutations} orders of {len(table.params)} configurations, {seconds} s")
    stopping = summary(figures)
    if flags.json:
        found = {
            "origin": origin,
            "permutations": flags.permutations,
            "seed": flags.seed,
            "seconds": seconds,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "versions": {name: version(name) for name in ("ray", "optuna", "scikit-learn")},
            "configurations": len(table.params),
            "best": table.finals[table.best],
            "ladders": ladders,
            "whole sweeps": whole,
            "stopping": stopping,
            "rungs": {"correlations": rank, "rules": rules, "permutations": (len(orders) + 1) // 2},
            "proposals": proposals,
        }
        flags.json.write_text(json.dumps(found, indent=1) + "\n")
    missed = unmet(whole)
    console.print(f"Gate, whole sweeps at equal machine time: {f'FAIL: {missed}' if missed else 'PASS'}")
    if missed and not flags.quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
