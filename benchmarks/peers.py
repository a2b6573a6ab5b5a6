"""Peers of our search on the curves that benchmarks/search.py replays, and our ladder beside them on the same orders.

    python3 -m venv DIR                                          # an environment of their own: no torch, no Ray
    DIR/bin/pip install -r benchmarks/peers-requirements.txt
    DIR/bin/python benchmarks/peers.py                           # about 13 minutes on 2 cores
    DIR/bin/python benchmarks/peers.py --json /tmp/peers.json    # also all figures as JSON

Each peer goes through a table's configurations by its own code, Syne Tune in its own simulator; nothing is trained.
(1, 3) are a peer's defaults and (3, 3) ASHA's best on the first table: grace in epochs, reduction. SMAC's Hyperband
over epochs has its defaults alone: with (3, 3) and 8 epochs its one bracket stops nothing. The answer is the peer's
own: Syne Tune's the highest mean over the classes reported at any epoch, SMAC's its incumbent. Of the ladder it is the
best complete configuration of a sweep that plans for the budget; on each table it has the rungs that
benchmarks/search.py chose on the others. The configurations come in the orders that search.py draws for the same seed,
but where SMAC's model picks them.

Compute is counted in class-epochs, a configuration trained for an epoch on a class. Budgets are parts of what training
every configuration to its end costs. Regret is the AUROC that the table's best is ahead of the answer at the last
epoch, in the mean over classes. A diverged configuration counts as AUROC 0.5 from its first NaN on, and costs nothing
after it. All epochs take the same time, so ASHA's decisions are those of one worker on four; four have more under way.

Intervals are over orders, so they say nothing of other data sets; of shares, they take no stopping's mean as exact,
where search.py resamples it as well. A peer that is through with the table keeps its
answer: it has no more configurations to spend the rest of a budget on, as it would have in a sweep.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from peers_smac import hyperband_over_classes, hyperband_over_epochs, racing
from peers_syne_tune import asha
from peers_table import BUDGETS, Replay, Table, load_table, outcome

sys.path.insert(0, str(Path(__file__).parents[1]))  # neither torch nor Ray is asked for by what follows
from replay.climbing import Setting, climb
from replay.intervals import mean
from replay.table import Table as Curves
from replay.table import load_table as load_curves

CURVES = Path(__file__).parent / "curves"
CHOSEN = Path(__file__).parents[1] / "docs" / "results" / "search.json"
LADDER = "ladder chosen elsewhere"


def no_stopping(table: Table, order: Sequence[int], seed: int) -> Replay:
    """The yardstick: one configuration after the other to its end; the answer is the best of them."""
    trained = table.lengths * table.classes
    best = [order[int(table.finals[order[: count + 1]].argmax())] for count in range(len(order))]
    return Replay(trained[order].cumsum(), np.array(best), trained)


#: Replays a search over the table, given the order of its rows and a seed.
Peer = Callable[[Table, Sequence[int], int], Replay]

#: Regrets by table and peer, [budgets].
Repetition = dict[str, dict[str, tuple[float, ...]]]

PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "no stopping": no_stopping,
        "Syne Tune ASHA (1, 3), 1 worker": partial(asha, grace=1, reduction=3, workers=1),
        "Syne Tune ASHA (1, 3), 4 workers": partial(asha, grace=1, reduction=3, workers=4),
        "Syne Tune ASHA (3, 3), 1 worker": partial(asha, grace=3, reduction=3, workers=1),
        "Syne Tune ASHA (3, 3), 4 workers": partial(asha, grace=3, reduction=3, workers=4),
        "SMAC racing over classes": partial(racing, model=False),
        "SMAC racing over classes, its model": partial(racing, model=True),
        "SMAC Hyperband over classes": hyperband_over_classes,
        "SMAC Hyperband over epochs (1, 3)": partial(hyperband_over_epochs, grace=1, reduction=3),
    }
)


def quiet(folder: str) -> None:
    """In each process: no log lines of the peers, and a place for the folder that Syne Tune writes per run."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ["SYNETUNE_FOLDER"] = f"{folder}/{os.getpid()}"


def repetition(tables: Mapping[str, Path], settings: Mapping[str, Setting], seed: int, number: int) -> Repetition:
    """Every peer, and the ladder, on one order of the rows of each table."""
    found: Repetition = {}
    for name, path in tables.items():
        table = load_table(path)
        order = np.random.default_rng([seed, number]).permutation(len(table.auroc)).tolist()
        found[name] = {peer: outcome(table, run(table, order, seed + number)).regrets for peer, run in PEERS.items()}
        found[name][LADDER] = ladder(table, load_curves(path)[0], order, settings[name])
    return found


def ladder(table: Table, curves: Curves, order: Sequence[int], setting: Setting) -> tuple[float, ...]:
    """The regret of a sweep that plans for each budget; that of a random configuration where nothing is complete."""
    rows = [climb(curves, order, budget * table.compute, workers=1, setting=setting)[1] for budget in BUDGETS]
    chosen = [table.finals.mean() if row is None else table.finals[row] for row in rows]
    return tuple(float(table.finals[table.best] - each) for each in chosen)


def settings_of(path: Path, names: Sequence[str]) -> dict[str, Setting]:
    """The ladder of each table: chosen on the others, if that file of search.py says it, else the sweep's own."""
    chosen = json.loads(path.read_text())["ladders"]["chosen"] if path.is_file() else {}
    found: dict[str, Setting] = {}
    for name in names:
        told = chosen.get(name)
        parts = tuple((classes, epochs) for classes, epochs in told["parts"]) if told else ()
        found[name] = Setting(parts, told["reduction"], told["spare"]) if told else Setting()
    return found


def summary(runs: Sequence[Repetition]) -> dict[str, Any]:
    """By table: regrets, and the ladder's less each peer's, paired by order; and the mean of the tables' shares."""
    regrets = {name: {peer: np.array([run[name][peer] for run in runs]) for peer in runs[0][name]} for name in runs[0]}
    shares = [_shares(own) for own in regrets.values()]
    together = {peer: np.mean([own[peer] for own in shares], axis=0) for peer in shares[0]}
    return {"tables": {name: _beside(own) for name, own in regrets.items()}, "mean share": _beside(together)}


def _shares(regrets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A table's regrets as shares of what no stopping leaves on average at the same budget, which is taken as exact.

    Without the budget of all the compute, where it leaves nothing.
    """
    whole = regrets["no stopping"].mean(0)[:-1]
    return {peer: own[:, :-1] / whole for peer, own in regrets.items()}


def _beside(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Each peer's values, [orders, budgets], and the ladder's less these."""
    return {
        peer: {"regret": _by_budget(own), "ladder less": _by_budget(found[LADDER] - own)} for peer, own in found.items()
    }


def _by_budget(values: np.ndarray) -> dict[str, dict[str, float]]:
    """Means with their intervals, by budget. values: [orders, budgets], of all budgets or of the first ones."""
    return {str(budget): asdict(mean(own.tolist())) for budget, own in zip(BUDGETS, values.T, strict=False)}


def show(figures: Mapping[str, Any]) -> None:
    """A line per table and peer."""
    print("Regret x 1000 (AUROC) at a part of no stopping's compute, and the ladder's less; mean and 95 % interval")
    for name, peers in figures["tables"].items():
        _show(name, peers, 1000)
    print("The same as a share of no stopping's regret, mean over the tables")
    _show("mean share", figures["mean share"], 1)


def _show(name: str, peers: Mapping[str, Any], factor: float) -> None:
    budgets = list(peers[LADDER]["regret"])
    heads = [*(f"{float(budget):g}" for budget in budgets), "ladder less, at 1/8", "at 1/4"]
    print(f"{name:36}" + "".join(f"{head:>20}" for head in heads))
    for peer, each in peers.items():
        found = [*each["regret"].values(), *list(each["ladder less"].values())[:2]]
        print(f"{peer:36}" + "".join(f"{_words(value, factor):>20}" for value in found))


def _words(found: Mapping[str, float], factor: float) -> str:
    return f"{factor * found['value']:.2f} ± {factor * (found['high'] - found['low']) / 2:.2f}"


def main() -> None:
    """Replay all peers, a repetition per process at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, action="append", help="file of record_curves.py; may be repeated")
    parser.add_argument("--chosen", type=Path, default=CHOSEN, help="file of search.py --json, for the ladders")
    parser.add_argument("--repetitions", type=int, default=96, help="orders of the configurations, 2 or more [96]")
    parser.add_argument("--seed", type=int, default=0, help="of the orders and of SMAC [0]")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    flags = parser.parse_args()
    if flags.repetitions < 2:
        parser.error(f"--repetitions {flags.repetitions}: an interval takes 2 or more")
    started = time.perf_counter()
    tables = {path.stem: path for path in flags.table or sorted(CURVES.glob("*.json"))}
    settings = settings_of(flags.chosen, list(tables))
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes of the pool, one per core
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, spawn.Pool(os.cpu_count(), quiet, [folder]) as pool:
        runs = pool.map(partial(repetition, tables, settings, flags.seed), range(flags.repetitions), chunksize=1)
    figures = summary(runs)
    seconds = round(time.perf_counter() - started)
    show(figures)
    versions = {name: version(name) for name in ("syne-tune", "smac", "scikit-learn", "numpy", "scipy")}
    named = ", ".join(f"{name} {each}" for name, each in versions.items())
    print(f"{flags.repetitions} orders of each table, {seconds} s; {named}")
    if flags.json:
        found = {
            "repetitions": flags.repetitions,
            "seed": flags.seed,
            "seconds": seconds,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "versions": versions,
            **figures,
        }
        flags.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
