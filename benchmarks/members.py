"""Experiments side by side against the same ones one after another; and bfloat16 against float32.

    python benchmarks/members.py            # also on a GPU: it is used if there is one

Compared: images/s of training in `adcore.train.train()`, of packs of ten experiments at width 8: ten classes of one
configuration at 1, 8 and 64 images per step and experiment, and ten configurations of one class at 64. Small networks
on small batches leave a device waiting for the next call, and a pack shares the calls. At width 16, ten classes with
`--precision bf16-mixed` against `32-true`, also with one thread as a sweep's trials train, where the processor has
AVX512_BF16. Both sides do the same work.

One ratio per repeat, from the second epoch of either side, in turns so that a drift of the machine meets both. Exits
with 1 if a median is below its target; the targets are for 2 CPU cores with nothing else to do (beside other work give
--threads 1: threads that wait for each other multiply the disturbance).
"""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Sequence
from statistics import median

import click
import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, load
from adcore.train import train

#: Least gain of bfloat16 over float32.
BFLOAT16 = 1.3
#: Experiments that train side by side.
Pack = list[TrainConfig]


@dataclasses.dataclass(frozen=True)
class Case:
    """Two ways to do the same work, each of one pack after another; target: least ratio of their times. threads: CPU
    threads, None for what is asked for."""

    name: str
    fast: Sequence[Pack]
    slow: Sequence[Pack]
    target: float
    threads: int | None = None


def cases(*, quick: bool) -> list[Case]:
    """What is compared on this device."""
    found = [
        _apart(f"ten classes / one after another, width 8, batch {batch:2}", _classes(_config(batch, images)), target)
        for batch, images, target in ((1, 30, 4.0), (8, 80, 1.8), (64, 256, 1.0))
    ]
    base = dataclasses.replace(_config(64, 256), classes=(6,))
    rates = [dataclasses.replace(base, learning_rate=1e-3 * 1.2**place) for place in range(10)]
    found.append(_apart("ten configurations of a class / one after another, width 8, batch 64", rates, 1.0))
    if torch.cuda.is_available() or torch.cpu.get_capabilities().get("avx512_bf16"):
        wide = dataclasses.replace(_config(64, 256), width=16)
        mixed = dataclasses.replace(wide, precision="bf16-mixed")
        for threads, told in ((None, ""), (1, ", one thread")):
            name = f"ten classes in bf16-mixed / in 32-true, width 16, batch 64{told}"
            found.append(Case(name, [_classes(mixed)], [_classes(wide)], BFLOAT16, threads))
    return [_small(case) for case in found] if quick else found


def _config(batch_size: int, images: int) -> TrainConfig:
    return TrainConfig(
        batch_size=batch_size, images_per_class=images, validation_images=100, sampling="random", epochs=2
    )


def _classes(config: TrainConfig) -> Pack:
    return [dataclasses.replace(config, classes=(index,)) for index in config.classes]


def _apart(name: str, pack: Pack, target: float) -> Case:
    return Case(name, [pack], [[each] for each in pack], target)


def _small(case: Case) -> Case:
    def small(packs: Sequence[Pack]) -> list[Pack]:
        return [[dataclasses.replace(each, width=2, images_per_class=each.batch_size) for each in p] for p in packs]

    return dataclasses.replace(case, fast=small(case.fast), slow=small(case.slow))


def seconds(data: ImageDataset, packs: Sequence[Pack]) -> float:
    """Seconds that the second training epoch takes, without validation, of all packs."""
    total = 0.0
    for pack in packs:
        results = train(pack, lambda _: None, data=data)
        total += sum(result.images_per_epoch for result in results) / results[0].history[-1]["images_per_second"]
    return total


def ratio(data: ImageDataset, case: Case, *, fast_first: bool) -> float:
    """Time of the slow way over the time of the fast one."""
    first = seconds(data, case.fast) if fast_first else 0.0
    slow = seconds(data, case.slow)
    return slow / (first or seconds(data, case.fast))


def describe_machine() -> str:
    """Device, versions and threads, for whoever reads the numbers elsewhere."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})"
    return f"device {device}, torch {torch.__version__}, {torch.get_num_threads()} threads"


@click.command(help=__doc__.splitlines()[0])
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1), help="ratios per case")
@click.option("--threads", type=click.IntRange(1), help="CPU threads  [default: PyTorch's]")
@click.option("--quick", is_flag=True, help="a step of each: says that it runs, nothing about speed")
def main(*, repeats: int, threads: int | None, quick: bool) -> None:
    threads = threads or (1 if quick else torch.get_num_threads())
    data = load("fashion-mnist", "train")
    torch.set_num_threads(threads)
    click.echo(describe_machine())
    missed: list[str] = []
    ratios: dict[str, list[float]] = {}
    compared = cases(quick=quick)
    for repeat in range(1 if quick else repeats):
        for case in compared:
            torch.set_num_threads(case.threads or threads)
            ratios.setdefault(case.name, []).append(ratio(data, case, fast_first=repeat % 2 == 0))
    for case in compared:
        values = ratios[case.name]
        click.echo(
            f"{case.name}: {median(values):.2f} ({min(values):.2f}-{max(values):.2f}), n {len(values)}, "
            f"target >= {case.target:g}"
        )
        if median(values) < case.target:
            missed.append(f"{case.name}: {median(values):.2f} < {case.target:g}")
    if missed and not quick:
        click.echo(f"missed: {'; '.join(missed)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
