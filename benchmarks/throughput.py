"""Training speed of `adcore.train.train()` against a bare PyTorch loop and against the way of the published projects.

    python benchmarks/throughput.py

Compared, in images/s of training steps (gathered and augmented batches included; drawing and validation not) of one
class on Fashion-MNIST, batch 64 (half normal, half anomalous):
1. train() and a bare loop with the same networks, losses and optimisers whose float batches are made before the clock
   starts. Width 8 and 16. Says what Lightning, gathering and augmentation cost together.
2. train() at width 16 and a plain Lightning module with batch 1: torchvision's PIL transforms, DataLoader, one image a
   step, which passes the generator and the discriminator of its kind; one step is counted as one image. Its data set
   yields PIL images from adcore.datasets: torchvision's FashionMNIST class wants a folder layout of its own.

The contestant's epoch runs in train()'s report, between two epochs of train(): a drift of the machine meets both, and
each pair gives one ratio. The first pair warms up and is left out. Exits with 1 if a median is below its target; the
targets are for an idle machine (beside other work give --threads 1).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import click
import pytorch_lightning as pl
import torch
from contestants import Networks, PilImages, SeedsModule, bare_loop, of_both_kinds
from members import describe_machine
from torch.utils.data import DataLoader

from adcore.augment import Resampler
from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, load
from adcore.networks import IMAGE_SIZE
from adcore.train import train

HALF, STEPS = 32, 30  # about a second an epoch at width 16
SEEDS_IMAGES = 200

#: Trains for an epoch and returns its images/s.
Epoch = Callable[[], float]


def bare_epoch(data: ImageDataset, width: int, device: torch.device) -> Epoch:
    """An epoch of the bare loop, of as many steps as train()'s."""
    networks = Networks(width, device, fused=True)
    resample = Resampler(data.images.shape[-1], IMAGE_SIZE, device)
    parts = [resample.plain(images.to(device)).split(HALF) for images in of_both_kinds(data, HALF * STEPS)]
    batches = list(zip(*parts, strict=True))

    def epoch() -> float:
        started = time.perf_counter()
        bare_loop(networks, batches)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return 2 * HALF * STEPS / (time.perf_counter() - started)

    return epoch


def seeds_epoch(data: ImageDataset, width: int, device: torch.device) -> Epoch:
    """An epoch of the seeds' way, short of Lightning's start."""
    module = SeedsModule(Networks(width, device))
    loader = DataLoader(PilImages(data, SEEDS_IMAGES), batch_size=1, shuffle=True)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }

    def epoch() -> float:
        pl.Trainer(max_epochs=1, accelerator="auto", devices=1, **quiet).fit(module, loader)
        return SEEDS_IMAGES / module.seconds

    return epoch


def compare(data: ImageDataset, width: int, repeats: int, contestant: Epoch) -> list[tuple[float, float]]:
    """Images/s of train() and of the contestant, in pairs of epochs that follow each other."""
    config = TrainConfig(
        classes=(0,),
        width=width,
        batch_size=2 * HALF,
        images_per_class=HALF * STEPS,
        validation_images=100,
        sampling="random",
        epochs=repeats + 1,
    )
    pairs: list[tuple[float, float]] = []
    train(config, lambda metrics: pairs.append((metrics["images_per_second"], contestant())), data=data)
    return pairs[1:]


def summary(name: str, pairs: list[tuple[float, float]], target: float) -> bool:
    """Print the ratios and say whether the target is met."""
    ratios = [ours / theirs for ours, theirs in pairs]
    ours, theirs = (median(speeds) for speeds in zip(*pairs, strict=True))
    click.echo(
        f"{name}: {median(ratios):.3g} ({min(ratios):.3g}-{max(ratios):.3g}), n {len(ratios)}, target >= {target:g}; "
        f"{ours:.0f} and {theirs:.0f} images/s"
    )
    return median(ratios) >= target


@click.command(help=__doc__.splitlines()[0])
@click.option("--repeats", default=20, show_default=True, type=click.IntRange(1), help="ratios per comparison")
@click.option("--threads", type=click.IntRange(1), help="CPU threads  [default: PyTorch's]")
@click.option("--quick", is_flag=True, help="one ratio of small networks: says that it runs, nothing about speed")
def main(*, repeats: int, threads: int | None, quick: bool) -> None:
    torch.set_num_threads(threads or (1 if quick else torch.get_num_threads()))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = load("fashion-mnist", "train")
    click.echo(describe_machine())
    cases = [
        ("train() / bare loop, width 8", 8, bare_epoch, 0.95),
        ("train() / bare loop, width 16", 16, bare_epoch, 0.95),
        ("train() / seeds' way, width 16", 16, seeds_epoch, 20.0),
    ]
    missed = []
    for name, width, contestant, target in cases:
        width, repeats = (2, 1) if quick else (width, repeats)
        if not summary(name, compare(data, width, repeats, contestant(data, width, device)), target):
            missed.append(name)
    if missed and not quick:
        click.echo(f"missed: {'; '.join(missed)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
