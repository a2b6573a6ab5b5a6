"""A plain Ray Tune script beside our search, on real training: what does each find in the same wall time?

    python benchmarks/peer_ray.py                 # three repeats: ours, twice its time for the other, and judging
    python benchmarks/peer_ray.py --repeats 1 --seconds 100

The plain one is what a user writes after Ray's examples (plain_ray.py): a function trial that trains a configuration's
ten classes by bare PyTorch loops and reports their mean AUROC after each epoch; OptunaSearch, ASHAScheduler and
MLflowLoggerCallback, as many trials at a time as there are cores, one thread each, until the time is up. It has the
same networks, losses, score, images, validation part and space, begins with the same default, and has twice our time.
Ours is the search of gan_loss_weights.py at the laptop scale, with as many configurations as the time is for. Our clock
starts with the script, the other when Ray is imported: start-up is part of the wall time.

What each has chosen is then trained by adcore.train with the same fresh seeds: the mean over classes and seeds of the
validation AUROC. Of the plain one that is its best after our time, and after twice that. Each repeat searches with
another seed; the intervals are of the differences over the repeats.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

import click
import torch
from plain_ray import CONFIG, SLOTS, best_of, search
from replay.intervals import mean

from adcore.datasets import ImageDataset, load
from adcore.train import train
from sweeps.engine.plan_time import CPU_SPEED_AT_WIDTH_8
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.rungs import affordable_count
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.time_budget import images_of
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.study import open_study
from sweeps.gan_loss_weights import SPACE

SCRIPT = Path(__file__).parents[1] / "sweeps" / "gan_loss_weights.py"
#: Seeds of the trainings that judge; no search has used them.
FRESH = (1001, 1002)
#: Seconds of a sweep's start, with Ray's, for how many configurations the time is for.
START = 20


def ours(seconds: float, seed: int, folder: str, scale: str = "laptop") -> tuple[dict[str, float], float, int]:
    """The configuration that our search chooses, the seconds that it took, and how many it considered."""
    plan = make_plan("gan_loss_weights", SweepSettings(scale=scale, seed=seed), SPACE)
    class_epochs = len(plan.classes) * plan.search_config.epochs
    budget = (seconds - START) * CPU_SPEED_AT_WIDTH_8 * SLOTS / (images_of(plan.search_config) / class_epochs)
    configs = affordable_count(plan.rungs, plan.reduction, budget, plan.min_complete)
    places = ["--storage", folder, "--tracking-uri", f"sqlite:///{folder}/ours.db", "--name", "ours"]
    words = [str(SCRIPT), "--scale", scale, "--seed", str(seed), "--configs", str(configs), *places]
    started = time.monotonic()
    running = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    path = Path(folder, "ours", "study.db")
    try:
        while not (record := _searched(path, plan, configs)):
            assert running.poll() is None, "the sweep ended before its search"
            time.sleep(0.5)
        took = time.monotonic() - started
    finally:
        running.terminate()
        running.wait()
    return record.best(1)[0].params, took, len(record.configurations)


def _searched(path: Path, plan: Plan, configs: int) -> SweepRecord | None:
    if not path.exists():
        return None
    record = SweepRecord(open_study(path, create=False), dataclasses.replace(plan, configs=configs), path=path)
    return record if record.is_searched else None


def fresh_auroc(params: dict[str, float], data: ImageDataset) -> float:
    """Mean over the classes and fresh seeds of the validation AUROC."""
    configs = [dataclasses.replace(CONFIG, **params, train_seed=seed) for seed in FRESH]
    return fmean(each.history[-1]["val_auroc_mean"] for each in train(configs, lambda _: None, data=data))


@click.command(help=__doc__.splitlines()[0])
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="searches of each, a seed each")
@click.option("--seconds", default=200.0, show_default=True, type=click.FloatRange(30), help="our wall time")
@click.option("--quick", is_flag=True, help="a minute, ours on digits: says that it runs")
def main(*, repeats: int, seconds: float, quick: bool) -> None:
    data, found = load("fashion-mnist", "train"), list[list[float]]()
    if quick:
        repeats, seconds = 1, 30.0
    for seed in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            mine, took, count = ours(seconds, seed, folder, "smoke" if quick else "laptop")
            trials = search(seconds / 2 if quick else 2 * took, seed, data, folder)
        chosen = [mine, best_of(trials, took), best_of(trials, 2 * took)]
        judged = {tuple(params.items()): 0.0 for params in chosen}  # two may have chosen the same
        if not quick:
            judged = {params: fresh_auroc(dict(params), data) for params in judged}
        found.append([judged[tuple(params.items())] for params in chosen])
        own, same, twice = found[-1]
        click.echo(
            f"seed {seed}: ours {own:.4f} after {took:.0f} s ({count} configurations), plain Ray {same:.4f} after as "
            f"long and {twice:.4f} after twice as long ({len(trials)} trials)"
        )
    for place, when in ((1, "after as long"), (2, "after twice as long")):
        less = mean([values[0] - values[place] for values in found])
        click.echo(
            f"ours less plain Ray {when}: {less.value:+.4f} (95 % interval {less.low:+.4f} to {less.high:+.4f}), "
            f"n {repeats}"
        )


if __name__ == "__main__":
    torch.set_num_threads(SLOTS)
    main()
