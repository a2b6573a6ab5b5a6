"""What Ray, Optuna and MLflow cost: a real sweep's wall time against the pure training time over the same slots.

    python benchmarks/sweep_overhead.py            # about 6 minutes on 2 cores

The sweep (Fashion-MNIST, laptop scale, 4 configurations x 10 classes x 2 epochs, then confirm and the test part) runs
as a user runs it. Its clock starts when its first trial starts to train, so that the start of Ray, of the workers and
of MLflow's database is left out, and ends with the last report of the last trial: the test part's scoring is no
training. In between lie both stages, the change of trials, the second start of all workers but one and all of MLflow's
writing. The trainings are then repeated by as many plain processes as there were slots, one thread each, with nothing
but adcore.train; their clock starts when all of them have their imports and data. Ratio of the two; target <= 1.15.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from adcore.config import TrainConfig
from sweeps.engine.params import as_config

TARGET = 1.15
SLOTS = os.cpu_count() or 1
SWEEP = ["--scale", "laptop", "--configs", "4", "--epochs", "2", "--max-concurrent", str(SLOTS)]
QUICK = ["--configs", "1", "--epochs", "1", "--normal-class", "0"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one configuration of a class: says that it runs")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        script = Path(__file__).parents[1] / "sweeps" / "gan_loss_weights.py"
        places = ["--storage", folder, "--tracking-uri", uri, "--name", "overhead"]
        flags = [*SWEEP, *(QUICK if quick else []), *places]
        subprocess.run([sys.executable, str(script), *flags], check=True, stdout=subprocess.DEVNULL)
        seconds, trainings = measured(uri)
    pure = repeat(trainings)
    ratio = seconds / pure
    import torch

    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {SLOTS} slots of one thread, n = 1"
    )
    print(f"sweep {seconds:.1f} s, pure training of the same {len(trainings)} runs {pure:.1f} s")
    print(f"ratio {ratio:.3f} (target <= {TARGET})")
    return int(ratio > TARGET and not quick)


def measured(uri: str) -> tuple[float, list[TrainConfig]]:
    """Seconds from the first trial's first step to the last trial's last report, and what was trained in between."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("gan_loss_weights")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    configurations = [run for run in runs if run.data.tags["level"] == "config"]
    classes = len(configurations[0].data.params["classes"].split(","))
    started, ended = float("inf"), 0.0
    for run in runs:
        if run.data.tags["level"] != "class":
            continue
        reports = client.get_metric_history(run.info.run_id, "val_auroc")
        speeds = client.get_metric_history(run.info.run_id, "images_per_second")
        images = 2 * (as_config(run.data.params).images_per_class or 0) * classes
        started = min(started, reports[0].timestamp / 1000 - images / speeds[0].value)
        ended = max(ended, reports[-1].timestamp / 1000)
    return ended - started, [as_config(run.data.params) for run in configurations]


def repeat(trainings: list[TrainConfig]) -> float:
    """Seconds that SLOTS processes take for the trainings, each process ready before the clock starts."""
    context = multiprocessing.get_context("spawn")
    jobs: Any = context.Queue()
    ready, go = context.Barrier(SLOTS + 1), context.Barrier(SLOTS + 1)
    workers = [context.Process(target=work, args=(jobs, ready, go)) for _ in range(SLOTS)]
    for config in trainings:
        jobs.put(config)
    for worker in workers:
        jobs.put(None)
        worker.start()
    ready.wait()
    started = time.perf_counter()
    go.wait()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started


def work(jobs: Any, ready: Any, go: Any) -> None:
    """Train what comes out of the queue until a None does."""
    import torch

    from adcore.datasets import load
    from adcore.train import train

    torch.set_num_threads(1)
    data = load("fashion-mnist", "train")
    ready.wait()
    go.wait()
    while (config := jobs.get()) is not None:
        train(config, lambda metrics: None, data=data)


if __name__ == "__main__":
    sys.exit(main())
