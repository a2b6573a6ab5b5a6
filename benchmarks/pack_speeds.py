"""What an experiment's epoch costs in packs of 1 to 40 experiments, of what it costs in a pack of ten.

    python benchmarks/pack_speeds.py                       # 17 minutes on a slow core; also on a GPU
    python benchmarks/pack_speeds.py --out benchmarks/pack_speeds.json

As a sweep's trials train on a CPU: `adcore.train.train()` at width 8, batch 64, with one thread. The configurations of
a pack differ in their learning rate and train the same class, as on the lowest rungs of the ladder. By the medians
benchmarks/search.py counts machine time. Each repeat goes through all sizes: a drift of the machine meets all of them.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from statistics import median

import click
import torch
from members import describe_machine, seconds

from adcore.config import TrainConfig
from adcore.datasets import load

#: Experiments in a pack.
SIZES = (1, 2, 3, 4, 5, 7, 10, 14, 20, 30, 40)
#: The size that the others are compared with.
UNIT = 10


def pack(size: int, images: int) -> list[TrainConfig]:
    """Configurations of one class."""
    base = TrainConfig(classes=(6,), images_per_class=images, validation_images=100, sampling="random", epochs=2)
    return [dataclasses.replace(base, learning_rate=1e-3 * 1.02**place) for place in range(size)]


@click.command(help=__doc__.splitlines()[0])
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1), help="measurements of each size")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="CPU threads")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="write the costs to this file")
@click.option("--quick", is_flag=True, help="a step of three sizes: says that it runs, nothing about speed")
def main(*, repeats: int, threads: int, out: Path | None, quick: bool) -> None:
    if quick and out:
        raise click.UsageError("--quick with --out: its figures say nothing; leave one of them out")
    data = load("fashion-mnist", "train")
    torch.set_num_threads(threads)
    sizes, images = ((1, 2, UNIT), 64) if quick else (SIZES, 512)
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(1 if quick else repeats):
        times = {size: seconds(data, [pack(size, images)]) / size for size in sizes}
        for size in sizes:
            found[size].append(times[size] / times[UNIT])
    click.echo(describe_machine())
    for size, values in found.items():
        click.echo(f"{size:2}: {median(values):.3f} ({min(values):.3f}-{max(values):.3f}), n {len(values)}")
    if out:
        cost = {str(size): round(median(values), 4) for size, values in found.items()}
        spread = {str(size): [round(min(values), 4), round(max(values), 4)] for size, values in found.items()}
        origin = {"machine": describe_machine(), "repeats": repeats, "threads": threads}
        out.write_text(json.dumps({**origin, "cost": cost, "range": spread}, indent=1) + "\n")


if __name__ == "__main__":
    main()
