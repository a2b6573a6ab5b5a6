"""Peers of our search on the curves that benchmarks/search.py replays: Syne Tune's ASHA, SMAC's racing and Hyperband.

    python3 -m venv DIR                                          # an environment of their own: no torch, no Ray
    DIR/bin/pip install -r benchmarks/peers-requirements.txt
    DIR/bin/python benchmarks/peers.py                           # about 6 minutes on 2 cores
    DIR/bin/python benchmarks/peers.py --json /tmp/peers.json    # also all figures as JSON

Each peer goes through the table's configurations by its own code, Syne Tune in its own simulator; nothing is trained.
(1, 3) are a peer's defaults and (2, 2) the rungs of our sweep: grace in epochs, reduction. The answer is the peer's
own: Syne Tune's the highest mean over the classes reported at any epoch, SMAC's its incumbent. The configurations come
in the orders that search.py draws for the same seed, but where SMAC's model picks them.

Compute is counted in class-epochs, a configuration trained for an epoch on a class. Budgets are parts of what training
every configuration to its end costs. Regret is the AUROC that the table's best is ahead of the answer at the last
epoch, in the mean over classes. Best stopped is the share of repetitions in which the table's best was not trained to
its end in every class. A diverged configuration counts as AUROC 0.5 from its first NaN on, and costs nothing after it.
All epochs take the same time, so ASHA's decisions are those of one worker on four; four have more under way at once.

Intervals are over orders of one table, so they say nothing of other data sets. A peer that is through with the table
keeps its answer: it has no more configurations to spend the rest of a budget on, as it would have in a sweep.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from peers_smac import hyperband_over_classes, hyperband_over_epochs, racing
from peers_syne_tune import asha
from peers_table import BUDGETS, Outcome, Replay, Table, load_table, outcome
from scipy import stats

CURVES = Path(__file__).parent / "curves" / "fashion_mnist.json"


def no_stopping(table: Table, order: Sequence[int], seed: int) -> Replay:
    """The yardstick: one configuration after the other to its end; the answer is the best of them."""
    trained = table.lengths * table.classes
    best = [order[int(table.finals[order[: count + 1]].argmax())] for count in range(len(order))]
    return Replay(trained[order].cumsum(), np.array(best), trained)


#: Replays a search over the table, given the order of its rows and a seed.
Peer = Callable[[Table, Sequence[int], int], Replay]

PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "no stopping": no_stopping,
        "Syne Tune ASHA (1, 3), 1 worker": partial(asha, grace=1, reduction=3, workers=1),
        "Syne Tune ASHA (1, 3), 4 workers": partial(asha, grace=1, reduction=3, workers=4),
        "Syne Tune ASHA (2, 2), 1 worker": partial(asha, grace=2, reduction=2, workers=1),
        "Syne Tune ASHA (2, 2), 4 workers": partial(asha, grace=2, reduction=2, workers=4),
        "SMAC racing over classes": partial(racing, model=False),
        "SMAC racing over classes, its model": partial(racing, model=True),
        "SMAC Hyperband over classes": hyperband_over_classes,
        "SMAC Hyperband over epochs (1, 3)": partial(hyperband_over_epochs, grace=1, reduction=3),
        "SMAC Hyperband over epochs (2, 2)": partial(hyperband_over_epochs, grace=2, reduction=2),
    }
)


def quiet(folder: str) -> None:
    """In each process: no log lines of the peers, and a place for the folder that Syne Tune writes per run."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ["SYNETUNE_FOLDER"] = f"{folder}/{os.getpid()}"


def repetition(table: Table, seed: int, number: int) -> dict[str, Outcome]:
    """Every peer on one order of the rows."""
    order = np.random.default_rng([seed, number]).permutation(len(table.auroc)).tolist()
    return {name: outcome(table, peer(table, order, seed + number)) for name, peer in PEERS.items()}


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of one peer over its repetitions."""
    regrets = np.array([each.regrets for each in outcomes])
    return {
        "regret": {str(budget): mean(regrets[:, index]) for index, budget in enumerate(BUDGETS)},
        "compute": mean(np.array([each.compute for each in outcomes])),
        "missed": float(np.mean([each.missed for each in outcomes])),
    }


def mean(values: np.ndarray) -> dict[str, float]:
    """The mean with its 95 % t interval."""
    centre = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return {"value": centre, "low": centre - half, "high": centre + half}


def show(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """A line per peer."""
    print("Regret x 1000 (AUROC) at a part of no stopping's compute; mean and 95 % interval")
    heads = "".join(f"{budget:>16g}" for budget in BUDGETS)
    print(f"{'peer':36}{heads}{'compute':>10}{'best stopped, %':>17}")
    for name, each in figures.items():
        regrets = "".join(f"{_thousandths(regret):>16}" for regret in each["regret"].values())
        print(f"{name:36}{regrets}{each['compute']['value']:10.3f}{100 * each['missed']:17.0f}")


def _thousandths(found: Mapping[str, float]) -> str:
    return f"{1000 * found['value']:.2f} ± {500 * (found['high'] - found['low']):.2f}"


def main() -> None:
    """Replay all peers, a repetition per process at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=Path, default=CURVES, help="file of record_curves.py --pack")
    parser.add_argument("--repetitions", type=int, default=200, help="orders of the configurations, 2 or more [200]")
    parser.add_argument("--seed", type=int, default=0, help="of the orders and of SMAC [0]")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    flags = parser.parse_args()
    if flags.repetitions < 2:
        parser.error(f"--repetitions {flags.repetitions}: an interval takes 2 or more")
    started = time.perf_counter()
    table = load_table(flags.curves)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes of the pool, one per core
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, spawn.Pool(os.cpu_count(), quiet, [folder]) as pool:
        runs = pool.map(partial(repetition, table, flags.seed), range(flags.repetitions), chunksize=1)
    figures = {name: summary([run[name] for run in runs]) for name in PEERS}
    seconds = round(time.perf_counter() - started)
    show(figures)
    versions = {name: version(name) for name in ("syne-tune", "smac", "scikit-learn", "numpy", "scipy")}
    named = ", ".join(f"{name} {each}" for name, each in versions.items())
    print(f"{flags.repetitions} orders of {len(table.auroc)} configurations, {seconds} s; {named}")
    if flags.json:
        found = {
            "repetitions": flags.repetitions,
            "seed": flags.seed,
            "seconds": seconds,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "versions": versions,
            "configurations": len(table.auroc),
            "class_epochs": table.compute,
            "best": float(table.finals[table.best]),
            "peers": figures,
        }
        flags.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
