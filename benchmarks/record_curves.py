"""Record the learning curves that benchmarks/search.py replays: 48 configurations x 10 classes in each table.

    python benchmarks/record_curves.py mnist --out /tmp/mnist.jsonl          # an hour on 2 cores; run again to go on
    python benchmarks/record_curves.py mnist --out /tmp/mnist.jsonl --pack   # writes benchmarks/curves/mnist.json

The configurations are the sweep's own first points, then a scrambled Sobol sequence over its space, so that a prefix
of them is spread as the whole. Each is trained on all ten classes side by side, as a sweep trains it;
MNIST's digits are not mirrored.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import torch

from adcore.config import TrainConfig
from adcore.datasets import load
from adcore.train import train
from sweeps.engine.detector_sweep import detector_space
from sweeps.engine.planning.space import Space
from sweeps.gan_loss_weights import SPACE

CONFIGURATIONS = 48
BASE = TrainConfig(images_per_class=1000, validation_images=2000, epochs=8)
#: What each table is trained with, and the space that it samples.
TABLES = {
    "fashion_mnist": (BASE, SPACE),
    "mnist": (dataclasses.replace(BASE, dataset="mnist", horizontal_flip=False), SPACE),
    "autoencoder": (
        dataclasses.replace(BASE, detector="autoencoder", protocol="one-class"),
        detector_space("autoencoder"),
    ),
}
CURVES = Path(__file__).parent / "curves"


def configurations(space: Space) -> list[dict[str, float]]:
    """The sampled fields of each configuration: the space's points, then Sobol."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.QMCSampler(scramble=True, seed=0))
    found = [dict(point) for point in space.points.values()]
    while len(found) < CONFIGURATIONS:
        trial = study.ask(space.distributions())
        study.tell(trial, 0.0)
        found.append(trial.params)
    return found


def record(job: tuple[TrainConfig, int, dict[str, float]]) -> dict[str, Any]:
    """Train one configuration of a table; its AUROC by epoch and class, on validation."""
    base, number, params = job
    torch.set_num_threads(1)
    config = dataclasses.replace(base, **params)
    started = time.perf_counter()
    result = train(config, lambda _: None, data=load(config.dataset, "train"))
    curves = [[epoch[f"val_auroc_{index}"] for index in config.classes] for epoch in result.history]
    seconds = round(time.perf_counter() - started, 1)
    return {
        "number": number, "params": params, "state": result.state, "seconds": seconds, "commit": _commit(),
        "torch": torch.__version__, "device": f"CPU {platform.machine()}, one thread per configuration",
        "curves": curves,
    }  # fmt: skip


def pack(table: str, out: Path) -> None:
    """Write all that was recorded of a table, in order, with where it comes from."""
    found = sorted((json.loads(line) for line in out.read_text().splitlines()), key=lambda each: each["number"])
    if others := {each.pop("table") for each in found} - {table}:
        sys.exit(f"{out}: curves of {', '.join(others)}, expected {table}")
    if len(found) < CONFIGURATIONS:
        sys.exit(f"{out}: {len(found)} configurations, expected {CONFIGURATIONS}; run without --pack to go on")
    origin = {
        "command": f"python benchmarks/record_curves.py {table} --out FILE",
        "commits": sorted({each.pop("commit") for each in found}),
        **{name: ", ".join(sorted({each.pop(name, "not recorded") for each in found})) for name in ("torch", "device")},
        "config": dataclasses.asdict(TABLES[table][0]),
    }
    for each in found:
        each["curves"] = [[round(value, 6) for value in epoch] for epoch in each["curves"]]
        each["params"] = {name: float(f"{value:.8g}") for name, value in each["params"].items()}
    lines = ",\n".join(json.dumps(each) for each in found)
    (CURVES / f"{table}.json").write_text(f'{{"origin": {json.dumps(origin)},\n"configurations": [\n{lines}\n]}}\n')


def _commit() -> str:
    command = ["git", "-C", str(CURVES.parent), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Train what --out does not hold yet, a configuration per core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per configuration; appended to")
    parser.add_argument("--pack", action="store_true", help="write the table from --out, and train nothing")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="configurations at once, a thread each")
    parser.add_argument("--quick", action="store_true", help="two configurations, few images: says that it runs")
    flags = parser.parse_args()
    base, space = TABLES[flags.table]
    wanted = configurations(space)
    if flags.quick and flags.out.exists():
        parser.error(f"--quick --out {flags.out}: expected a file that is not there: its configurations are others")
    if flags.quick:
        base, wanted = dataclasses.replace(base, images_per_class=64, epochs=1, width=2), wanted[:2]
    if flags.pack:
        pack(flags.table, flags.out)
        return
    present = [json.loads(line) for line in flags.out.read_text().splitlines()] if flags.out.exists() else []
    if others := {each["table"] for each in present} - {flags.table}:
        parser.error(f"--out {flags.out}: holds curves of {', '.join(others)}; give another file")
    done = {each["number"] for each in present}
    jobs = [(base, number, params) for number, params in enumerate(wanted) if number not in done]
    with multiprocessing.get_context("spawn").Pool(flags.processes) as pool, flags.out.open("a") as file:
        for each in pool.imap_unordered(record, jobs):
            print(json.dumps({"table": flags.table, **each}), file=file, flush=True)
            mean = sum(each["curves"][-1]) / len(base.classes)
            print(each["number"], each["state"], f"{mean:.4f}", f"{each['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
