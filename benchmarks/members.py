"""Ten experiments as one network against ten networks one after another.

    python benchmarks/members.py            # also on a GPU: it is used if there is one

Compared: images/s of training in `adcore.train.train()` with all ten classes as members of one network of width 8, and
with one class at a time; at 1, 8 and 64 images per step and experiment. Small networks on small batches leave a device
waiting for the next call, and members share the calls: the gain, and the batch from which on there is none, decide what
`--members-per-trial auto` should choose. Both do the same work on the same images.

One ratio per repeat, from an epoch of either contestant after one to warm up, in turns so that a drift of the machine
meets both. Exits with 1 if a median is below its target; the targets are for 2 CPU cores with nothing else to do
(beside other work give --threads 1: threads that wait for each other multiply the disturbance).
"""

from __future__ import annotations

import platform
import sys
from statistics import median

import click
import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, load
from adcore.train import train

CLASSES = tuple(range(10))
#: Batch size: (least ratio, normal images per experiment). 8 to 30 steps an epoch: a ratio takes seconds.
CASES = {1: (4.0, 30), 8: (1.8, 80), 64: (1.0, 256)}


def epoch_seconds(data: ImageDataset, classes: tuple[int, ...], batch_size: int, images: int) -> float:
    """Seconds that the second training epoch takes, without validation."""
    config = TrainConfig(
        classes=classes,
        batch_size=batch_size,
        images_per_class=images,
        validation_images=100,
        sampling="random",
        epochs=2,
        width=8,
    )
    result = train(config, lambda _: None, data=data)
    return 2 * images * len(classes) / result.history[-1]["images_per_second"]


def ratio(data: ImageDataset, batch_size: int, images: int, together_first: bool) -> float:
    """Time of ten networks, one after another, over the time of the one that holds them all."""

    def together() -> float:
        return epoch_seconds(data, CLASSES, batch_size, images)

    first = together() if together_first else 0.0
    apart = sum(epoch_seconds(data, (index,), batch_size, images) for index in CLASSES)
    return apart / (first or together())


def describe_machine() -> str:
    """Device, versions and threads, for whoever reads the numbers elsewhere."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})"
    return f"device {device}, torch {torch.__version__}, {torch.get_num_threads()} threads"


@click.command(help=__doc__.splitlines()[0])
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1), help="ratios per batch size")
@click.option("--threads", type=click.IntRange(1), help="CPU threads  [default: PyTorch's]")
def main(repeats: int, threads: int | None) -> None:
    torch.set_num_threads(threads or torch.get_num_threads())
    data = load("fashion-mnist", "train")
    click.echo(describe_machine())
    ratios: dict[int, list[float]] = {batch_size: [] for batch_size in CASES}
    for repeat in range(repeats):
        for batch_size, (_, images) in CASES.items():
            ratios[batch_size].append(ratio(data, batch_size, images, together_first=repeat % 2 == 0))
    missed = []
    for batch_size, values in ratios.items():
        target, _ = CASES[batch_size]
        click.echo(
            f"ten members / one after another, width 8, batch {batch_size:2}: {median(values):.2f} "
            f"({min(values):.2f}-{max(values):.2f}), n {len(values)}, target >= {target:g}"
        )
        if median(values) < target:
            missed.append(f"batch {batch_size}: {median(values):.2f} < {target:g}")
    if missed:
        click.echo(f"missed: {'; '.join(missed)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
