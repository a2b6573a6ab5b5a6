"""What Ray, Optuna and MLflow cost: a real sweep's wall time against the pure training time over the same slots.

    python benchmarks/sweep_overhead.py            # about 8 minutes on 2 cores

The sweep is loss_ablation.py at the laptop scale (12 variants x 3 classes x 2 seeds x 2 epochs), as a user runs it:
without a ladder, so that what trains side by side is known. Its clock starts when its first pack starts to train, so
that the start of Ray, of the workers and of MLflow's database is left out, and ends with the last report of the last
pack: the test part's scoring is no training. In between lie the change of trials and all of MLflow's writing. The same
trainings, in packs of the same size, are then run by as many plain processes as there were slots, one thread each,
with nothing but adcore.train; their clock starts when all of them have their imports and data. Ratio of the two;
target <= 1.15.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from adcore.config import TrainConfig
from adcore.system.cpus import allotted_cpus
from sweeps.engine.planning.settings import MEMBERS
from sweeps.engine.tracking.params import as_config

TARGET = 1.15
SLOTS = allotted_cpus()
SCRIPT = "loss_ablation"
SWEEP = ["--scale", "laptop", "--epochs", "2", "--normal-class", "0,3,6", "--max-concurrent", str(SLOTS)]
QUICK = ["--scale", "smoke", "--epochs", "1", "--normal-class", "0"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one class of digits: says that it runs")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        script = Path(__file__).parents[1] / "sweeps" / f"{SCRIPT}.py"
        places = ["--storage", folder, "--tracking-uri", uri, "--name", "overhead"]
        flags = [*SWEEP, *(QUICK if quick else []), *places]
        subprocess.run([sys.executable, str(script), *flags], check=True, stdout=subprocess.DEVNULL)
        seconds, packs = measured(uri)
    pure = repeat(packs)
    ratio = seconds / pure
    import torch

    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {SLOTS} slots of one thread, n = 1"
    )
    print(f"sweep {seconds:.1f} s, the same trainings in {len(packs)} packs of its size {pure:.1f} s")
    print(f"ratio {ratio:.3f} (target <= {TARGET})")
    return int(ratio > TARGET and not quick)


def measured(uri: str) -> tuple[float, list[list[TrainConfig]]]:
    """Seconds from the first pack's first step to the last report, and the sweep's trainings in packs of the same size.

    Which trainings shared a pack is not in MLflow: those that stand next to each other there do here.
    """
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(SCRIPT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.level = 'class'", max_results=5000)
    rounds = math.ceil(len(runs) / (MEMBERS * SLOTS))
    size = math.ceil(len(runs) / (rounds * SLOTS))
    started, ended = float("inf"), 0.0
    for run in runs:
        reports = client.get_metric_history(run.info.run_id, "val_auroc")
        speeds = client.get_metric_history(run.info.run_id, "images_per_second")
        images = 2 * (as_config(run.data.params).images_per_class or 0) * size
        started = min(started, reports[0].timestamp / 1000 - images / speeds[0].value)
        ended = max(ended, reports[-1].timestamp / 1000)
    configs = [as_config(run.data.params) for run in runs]
    return ended - started, [configs[start : start + size] for start in range(0, len(configs), size)]


def repeat(packs: list[list[TrainConfig]]) -> float:
    """Seconds that SLOTS processes take for the packs, each process ready before the clock starts."""
    context = multiprocessing.get_context("spawn")
    jobs: Any = context.Queue()
    ready, go = context.Barrier(SLOTS + 1), context.Barrier(SLOTS + 1)
    workers = [context.Process(target=work, args=(packs[0][0].dataset, jobs, ready, go)) for _ in range(SLOTS)]
    for pack in packs:
        jobs.put(pack)
    for worker in workers:
        jobs.put(None)
        worker.start()
    ready.wait()
    started = time.perf_counter()
    go.wait()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started


def work(dataset: str, jobs: Any, ready: Any, go: Any) -> None:
    """Train what comes out of the queue until a None does."""
    import torch

    from adcore.datasets import load
    from adcore.train import train

    torch.set_num_threads(1)
    data = load(dataset, "train")
    ready.wait()
    go.wait()
    while (pack := jobs.get()) is not None:
        train(pack, lambda metrics: None, data=data)


if __name__ == "__main__":
    sys.exit(main())
