"""The two-discriminator GAN at full size on one GPU: chosen on validation images, confirmed, and tested once.

    python benchmarks/wide_gan.py --json docs/results/wide.json   # three minutes on an H200
    python benchmarks/wide_gan.py --quick                         # that it runs, on whatever device there is

The search trains every variant on the four hardest classes with one seed, side by side in one pack, and scores
validation images by the reconstruction error plus a weight times the latent distance, over an image and its mirror
image. The best variant and weight are trained with three fresh seeds on all classes; their models score the test part.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click
import numpy as np
from gpu import machine
from torch import Tensor

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, describe, load
from adcore.metrics import auroc_influence, measure
from adcore.train import TrainResult, train
from adcore.train.batch_scores import anomaly_scores
from adcore.train.build import split_train
from sweeps.engine.results.intervals import Interval, interval, pooled_variance

DATASET = "fashion-mnist"
HARDEST, TEN = describe(DATASET).hardest_first[:4], tuple(range(10))
SEEDS = (1, 2, 3)
COMMON: dict[str, Any] = {
    "width": 64, "batch_size": 256, "images_per_class": None, "validation_images": 2500, "draws": "each-epoch",
    "precision": "bf16-mixed",
}  # fmt: skip
QUICK: dict[str, Any] = {"width": 4, "batch_size": 32, "images_per_class": 32, "validation_images": 50, "epochs": 1}
FAINT = {"weight_adversarial_normal": 0.005, "weight_adversarial_anomaly": 0.005}
FAST = {"learning_rate": 2e-3}
#: What is tried, beside the weights and the learning rate of the package.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "faint": FAINT,
    "fast": FAST,
    "faint, fast": FAINT | FAST,
    "faint, fast, patch 3": {**FAINT, **FAST, "weight_patch": 3.0},
    "faint, fast, latent 1.5": {**FAINT, **FAST, "weight_latent": 1.5},
    "faint, fast, patch 3, abc 4": {**FAINT, **FAST, "weight_patch": 3.0, "weight_abc": 4.0},
}
#: What shows whether the discriminators earn their place; it is no GAN, and is not chosen.
ABLATION = {"no discriminators": {"weight_adversarial_normal": 0.0, "weight_adversarial_anomaly": 0.0}}
LATENT_WEIGHTS = (0.0, 0.3, 1.0, 3.0)


def weighted_scores(result: TrainResult, images: Tensor) -> dict[float, Tensor]:
    """Mirrored scores of uint8 images, [n, members], by each of LATENT_WEIGHTS."""
    error, sum_of_both = (_scores(result, images, weight) for weight in (0.0, 1.0))
    return {weight: error + weight * (sum_of_both - error) for weight in LATENT_WEIGHTS}


def _scores(result: TrainResult, images: Tensor, weight: float) -> Tensor:
    for detector in result.detector:
        detector.scores_latent = bool(weight)
        detector.latent_weights.fill_(weight)
    return anomaly_scores(result.detector, images, mirrored=True).double()


def aurocs(scores: Tensor, labels: Tensor, classes: Sequence[int]) -> list[float]:
    """Of each class's member. scores: [n, members]; labels: [n]."""
    return [measure(scores[:, place], labels != index)["auroc"] for place, index in enumerate(classes)]


def search(data: ImageDataset, epochs: int, changes: dict[str, Any]) -> dict[str, dict[float, float]]:
    """Mean AUROC on validation images over the hardest classes, by variant and weight of the latent distance."""
    configs = [
        TrainConfig(**{**COMMON, "classes": HARDEST, "epochs": epochs, **variant, **changes})
        for variant in (VARIANTS | ABLATION).values()
    ]
    images, labels = validation(data, configs[0], 200 if changes else None)
    found: dict[str, dict[float, float]] = {}
    for name, result in zip(VARIANTS | ABLATION, train(configs, progress("search"), data=data), strict=True):
        scored = weighted_scores(result, images)
        found[name] = {weight: mean(aurocs(scores, labels, HARDEST)) for weight, scores in scored.items()}
        click.echo(f"{name}: " + ", ".join(f"latent {weight:g} {value:.4f}" for weight, value in found[name].items()))
    return found


def validation(data: ImageDataset, config: TrainConfig, count: int | None) -> tuple[Tensor, Tensor]:
    """All validation images of the split, or `count`, and their labels; training looks at COMMON's number of them."""
    places = split_train(dataclasses.replace(config, validation_images=count), data.labels).validation
    return data.images[places], data.labels[places]


def progress(stage: str) -> Any:
    """Prints each tenth epoch's mean AUROC, as training sees it, and its speed."""
    started = time.perf_counter()

    def report(metrics: Sequence[Any]) -> None:
        epoch = int(metrics[0]["epoch"])
        if epoch % 10 == 0:
            means = " ".join(f"{each['val_auroc_mean']:.4f}" for each in metrics)
            click.echo(f"{stage}, epoch {epoch}: {means}, {time.perf_counter() - started:.0f} s")

    return report


def summary(scores: Sequence[Tensor], labels: Tensor) -> tuple[list[list[float]], Interval]:
    """AUROC by seed and class, and the interval of the mean. scores: of each seed, [n, classes]."""
    by_seed = [aurocs(each, labels, TEN) for each in scores]
    influence = np.mean(
        [auroc_influence(each[:, index], labels != index) for each in scores for index in TEN], axis=0
    )  # [n]
    means = [mean(each) for each in by_seed]
    return by_seed, interval(means, *pooled_variance([means]), float((influence**2).sum()))


@click.command(help=__doc__.splitlines()[0])
@click.option("--search-epochs", default=20, show_default=True, help="epochs of each variant")
@click.option("--epochs", default=32, show_default=True, help="epochs of the confirmation")
@click.option("--quick", is_flag=True, help="few images and one epoch: says that it runs")
@click.option("--json", "file", type=click.Path(path_type=Path), help="write the figures to this file, too")
def main(*, search_epochs: int, epochs: int, quick: bool, file: Path | None) -> None:
    if quick and file:
        raise click.UsageError("--quick with --json: its figures say nothing; leave one of them out")
    changes = QUICK if quick else {}
    started = time.perf_counter()
    data = load(DATASET, "train")
    tried = search(data, search_epochs, changes)
    _, name, weight = max((value, name, weight) for name in VARIANTS for weight, value in tried[name].items())
    click.echo(f"chosen: {name}, latent distance x {weight:g}")
    config = TrainConfig(
        **{**COMMON, "classes": TEN, "epochs": epochs, **VARIANTS[name], "score_latent": weight, **changes}
    )
    results = train([dataclasses.replace(config, train_seed=seed) for seed in SEEDS], progress("confirm"), data=data)
    figures: dict[str, Any] = {**machine(), "config": dataclasses.asdict(config), "seeds": SEEDS, "search": tried}
    test = load(DATASET, "test")
    count = 200 if quick else None
    parts = ("validation", *validation(data, config, count)), ("test", test.images[:count], test.labels[:count])
    for part, images, labels in parts:
        by_seed, whole = summary([anomaly_scores(each.detector, images, mirrored=True) for each in results], labels)
        figures[part] = {"auroc": by_seed, "mean": whole.value, "low": whole.low, "high": whole.high}
        click.echo(f"{part}: mean {whole.value:.4f} ({whole.low:.4f} to {whole.high:.4f}), n {len(SEEDS)} seeds")
        for index in TEN:
            click.echo(f"  class {index}: " + " ".join(f"{seed[index]:.4f}" for seed in by_seed))
    figures["seconds"] = round(time.perf_counter() - started)
    if file:
        file.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
