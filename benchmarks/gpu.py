"""Training and scoring speed on a GPU, and whether a captured training step is the same as an eager one.

    python benchmarks/gpu.py --json docs/results/gpu.json   # the table
    python benchmarks/gpu.py --check                        # the captured step against the eager one
    python benchmarks/gpu.py --quick                        # a few steps of each row, on whatever device there is

Images/s are those of the training steps of `adcore.train.train()` on Fashion-MNIST: normal and anomalous images of all
experiments, one figure per epoch but the first, which captures the step. The rest of an epoch is what is not training:
drawing, validation as --scale gpu scores it, the report. Exits with 1 if a median misses its target, or if a check
fails.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
import torch
from torch import Tensor

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, load
from adcore.detectors import DETECTORS
from adcore.train import TrainResult, train
from adcore.train.batch_scores import anomaly_scores
from adcore.train.checkpoints import Checkpoints, read
from adcore.train.member_state import MemberState
from sweeps.engine.machine.code import current_code
from sweeps.engine.plan_cost import class_epochs_of, images_in_all
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SCALES, SweepSettings
from sweeps.gan_loss_weights import SPACE

TEN = tuple(range(10))
#: What every row shares, unless it says otherwise: the training of --scale gpu, in fewer epochs.
COMMON: dict[str, Any] = {**SCALES["gpu"].train, "epochs": 5, "precision": "bf16-mixed"}
QUICK: dict[str, Any] = {"width": 4, "batch_size": 32, "images_per_class": 32, "validation_images": 50}
STEPS, TOLERANCE = 50, 1e-4
MINUTES = 30


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure with its target, of n measurements."""

    name: str
    unit: str
    values: list[float]
    target: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether the median reaches the target."""
        return median(self.values) >= self.target if self.at_least else median(self.values) <= self.target

    def line(self, *, quick: bool) -> str:
        """The median, its range and n; the target, unless the row was only to be seen to run."""
        middle, low, high = (_amount(each(self.values)) for each in (median, min, max))
        sign = ">=" if self.at_least else "<="
        target = "" if quick else f", target {sign} {self.target:,g}{'' if self.met else ', missed'}"
        return f"{self.name}: {middle} {self.unit} ({low}-{high}), n {len(self.values)}{target}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


class Clock:
    """Hears of each epoch of each configuration; times: when."""

    def __init__(self) -> None:
        self.times = [time.perf_counter()]

    def __call__(self, _: object) -> None:
        self.times.append(time.perf_counter())

    def rests(self, results: Sequence[TrainResult]) -> list[float]:
        """Of each epoch but the first, the time that was not training over the time that was."""
        images = sum(result.images_per_epoch for result in results)
        speeds = [epoch["images_per_second"] for epoch in results[0].history]
        trained = [images / speed for speed in speeds]
        whole = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        return [all_of_it / own - 1 for all_of_it, own in list(zip(whole, trained, strict=True))[1:]]


def trained(data: ImageDataset, configs: Sequence[TrainConfig]) -> tuple[list[TrainResult], Clock]:
    clock = Clock()
    return train(list(configs), clock, data=data), clock


def speeds(results: Sequence[TrainResult]) -> list[float]:
    """Images/s of each epoch but the first."""
    return [epoch["images_per_second"] for epoch in results[0].history[1:]]


def table(data: ImageDataset, test: ImageDataset, changes: dict[str, Any], file: Path | None) -> list[Row]:
    """Every row, in the order in which they are measured; so far measured ones are written to `file`, too."""

    def config(**own: Any) -> TrainConfig:
        return TrainConfig(**{**COMMON, **own, **changes})

    rows: list[Row] = []

    def add(name: str, unit: str, values: list[float], target: float, *, at_least: bool = True) -> None:
        rows.append(Row(name, unit, values, target, at_least=at_least))
        click.echo(rows[-1].line(quick=bool(changes)))
        if file:  # after each: what is cut short keeps its rows
            code = current_code().commit
            commit = f"{code[:7]}{'+' * code.endswith('+')}"
            figures = [
                {**dataclasses.asdict(row), "n": len(row.values), "median": median(row.values), "commit": commit}
                for row in rows
            ]
            file.write_text(json.dumps({**machine(), "config": COMMON, "rows": figures}, indent=1) + "\n")

    (ten,), clock = trained(data, [config(classes=TEN)])
    add("train(), ten classes", "images/s", speeds([ten]), 100_000)
    add("an epoch's rest / its training, ten classes", "", clock.rests([ten]), 0.15, at_least=False)
    images = test.images[:100] if changes else test.images
    seconds = [_scoring_seconds(ten, images) for _ in range(3)]
    add(f"scoring {len(images):,} test images, ten members, mirrored", "s", seconds, 2, at_least=False)
    add(
        "--scale gpu --precision bf16-mixed, at least, by calculation",
        "minutes",
        _scale_minutes(ten, clock),
        MINUTES,
        at_least=False,
    )
    add("train(), one class", "images/s", speeds(trained(data, [config(classes=(6,), epochs=9)])[0]), 55_000)
    rates = [config(classes=(6,), learning_rate=1e-3 * 1.2**place) for place in range(10)]
    add("train(), ten configurations x one class", "images/s", speeds(trained(data, rates)[0]), 100_000)
    small = config(classes=TEN, width=8, batch_size=64)
    add("train(), width 8, batch 64, ten classes", "images/s", speeds(trained(data, [small])[0]), 120_000)
    single = config(classes=TEN, batch_size=1, images_per_class=300)
    add("train(), batch 1 + 1, ten classes", "images/s", speeds(trained(data, [single])[0]), 2_200)
    return rows


def _scoring_seconds(result: TrainResult, images: Tensor) -> float:
    started = time.perf_counter()
    anomaly_scores(result.detector, images, mirrored=True)
    return time.perf_counter() - started


def _scale_minutes(result: TrainResult, clock: Clock) -> list[float]:
    """At least so many minutes takes the whole of --scale gpu, by each epoch's speed and rest.

    Every pack is taken to be as fast as one of ten; start, tracking and report are taken to be 2 of the minutes.
    """
    plan = make_plan("gan_loss_weights", SweepSettings(scale="gpu"), SPACE)
    images = sum(images_in_all(plan, class_epochs_of(plan)))
    return [
        images / speed * (1 + rest) / 60 + 2
        for speed, rest in zip(speeds([result]), clock.rests([result]), strict=True)
    ]


class Fallbacks(logging.Handler):
    """Counts the captures that failed: what is then run is the eager step, which would agree with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def check(data: ImageDataset) -> bool:
    """Whether STEPS captured steps leave networks, buffers and Adam's moments as eager ones do, and are captured."""
    fallbacks = Fallbacks()
    logging.getLogger("adcore.train.captured").addHandler(fallbacks)
    config = TrainConfig(
        classes=(0, 3, 6), width=8, batch_size=64, images_per_class=32 * STEPS, validation_images=100, epochs=1,
        sampling="random", precision="64-true", schedule="constant", learning_rate=2**-10,
    )  # fmt: skip
    # a captured step holds rates in float32: one that it holds exactly, since GANs multiply a difference by millions
    agree = True
    for detector in (name for name, kind in DETECTORS.items() if kind.capturable):
        own = dataclasses.replace(config, detector=detector)
        eager, captured = (states_after(own, data, strategy) for strategy in ("plain", "captured"))
        worst = max(map(_difference, eager, captured))
        agree &= worst <= TOLERANCE
        click.echo(f"check, {detector}: largest difference after {STEPS} steps {worst:.1e}, allowed {TOLERANCE:g}")
    for precision in ("32-true", "bf16-mixed"):  # they round too differently to be compared
        states_after(dataclasses.replace(config, precision=precision), data, "captured")
    if fallbacks.count:
        click.echo(f"check: {fallbacks.count} steps could not be captured")
    return agree and not fallbacks.count


def states_after(config: TrainConfig, data: ImageDataset, strategy: str) -> list[MemberState]:
    """Networks and optimisers of each member after its training, as a checkpoint holds them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.ckpt")
        train(config, lambda _: None, data=data, strategy=strategy, checkpoints=Checkpoints(path))
        return read(path)


def _difference(first: MemberState, second: MemberState) -> float:
    """The largest difference of any tensor of two members' states, relative to the tensor's largest value."""
    pairs = [(value, second.networks[name]) for name, value in first.networks.items() if isinstance(value, Tensor)]
    for ours, theirs in zip(first.optimizers, second.optimizers, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            pairs += [(value, other[name]) for name, value in one.items()]
    return max(float((a.double() - b.double()).abs().max() / a.double().abs().max().clamp_min(1e-12)) for a, b in pairs)


def machine() -> dict[str, str]:
    """Device and versions, for whoever reads the numbers elsewhere."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})"
    return {"device": device, "torch": torch.__version__, "python": platform.python_version()}


@click.command(help=__doc__.splitlines()[0])
@click.option("--check", "checks", is_flag=True, help="the captured step against the eager one, and nothing else")
@click.option("--quick", is_flag=True, help="a few steps of each row: says that it runs, nothing about speed")
@click.option("--json", "file", type=click.Path(path_type=Path), help="write the figures to this file, too")
def main(*, checks: bool, quick: bool, file: Path | None) -> None:
    if quick and file:
        raise click.UsageError("--quick with --json: its figures say nothing; leave one of them out")
    if not torch.cuda.is_available() and not quick:
        click.echo("no CUDA device: this benchmark is about one; --quick runs on the CPU", err=True)
        sys.exit(2)
    if quick and not torch.cuda.is_available():
        torch.set_num_threads(1)  # beside other work, threads that wait for each other would take minutes
    data = load("fashion-mnist", "train")
    click.echo(", ".join(f"{name} {value}" for name, value in machine().items()))
    if checks:
        sys.exit(0 if check(data) else 1)
    rows = table(data, load("fashion-mnist", "test"), QUICK if quick else {}, file)
    if not quick and not all(row.met for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
