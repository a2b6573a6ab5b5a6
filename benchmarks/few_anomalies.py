"""How well are anomalies found of which training saw one kind, or none?

    python benchmarks/few_anomalies.py --json docs/results/few.json        # about 10 minutes a training and core
    python benchmarks/few_anomalies.py --json FILE --only "gan, pseudo" --splits 1
    python benchmarks/few_anomalies.py --quick                             # that it runs

It goes on where it stopped: a training that is in the file is not repeated.

Each class in turn is normal. With known anomalies (protocol seen-unseen), 5 % of the images are labelled ones of one
other class, as in Ruff et al. 2020 (Deep SAD); a split draws another known class for each normal one. Every training is
scored on the test part once, over all anomalies. Which pseudo-anomalies there are, and how many, was chosen at a
smaller size on validation images of Fashion-MNIST, of all classes, in split 0; it is left as it is for MNIST.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from statistics import mean
from typing import Any

import click
from gpu import machine

from adcore.config import TrainConfig
from adcore.datasets import load
from adcore.evaluation.test_scores import score_test
from adcore.files import write_whole
from adcore.protocols.definitions import known_anomalies
from adcore.train import train

COMMON: dict[str, Any] = {
    "images_per_class": 2500, "validation_images": 500, "width": 16, "mirrored_scores": True, "score_latent": 1.0,
}  # fmt: skip
SIZES = {"fashion-mnist": {"epochs": 8}, "mnist": {"epochs": 4}}
QUICK: dict[str, Any] = {"width": 4, "images_per_class": 32, "validation_images": 50, "epochs": 1, "classes": (0, 3)}
KNOWN = {"protocol": "seen-unseen", "known_classes": 1, "labelled_share": 0.05}
NONE = {"protocol": "one-class"}
PSEUDO = {"pseudo_anomalies": "all"}
VARIANTS: dict[str, dict[str, Any]] = {
    "gan": KNOWN,
    "gan, pseudo": KNOWN | PSEUDO,
    "deep-sad": KNOWN | {"detector": "deep-sad"},
    "deep-sad, pseudo": KNOWN | PSEUDO | {"detector": "deep-sad"},
    "cnn": KNOWN | {"detector": "cnn"},
    "cnn, pseudo": KNOWN | PSEUDO | {"detector": "cnn"},
    "one-class gan": NONE,
    "one-class gan, pseudo": NONE | PSEUDO,
    "one-class cnn, pseudo": NONE | PSEUDO | {"detector": "cnn"},
}


def run(dataset: str, variant: str, split: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Train all classes of a data set, and score the test part."""
    fields = COMMON | SIZES[dataset] | VARIANTS[variant] | changes
    config = TrainConfig(dataset=dataset, split_seed=split, train_seed=split, **fields)
    started, data = time.perf_counter(), load(dataset, "train")
    result = train(config, lambda epoch: click.echo(f"  epoch {epoch['epoch']:.0f}"), data=data)
    trained = time.perf_counter()
    measured = score_test(result.detector, config, load(dataset, "test")).measured()
    names = [name for name in ("auroc", "auroc_seen", "auroc_unseen") if name in next(iter(measured.values()))]
    known = {index: known_anomalies(config.exposure, index, 10, split) for index in config.classes}
    return {
        "dataset": dataset,
        "variant": variant,
        "split": split,
        "state": result.state,
        "known": known if config.protocol == "seen-unseen" else {},
        "by_class": {name: {index: each[name] for index, each in measured.items()} for name in names},
        "seconds": round(trained - started),
        "config": dataclasses.asdict(config),
        **machine(),
    }


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", "datasets", multiple=True, default=("fashion-mnist",), help="fashion-mnist, mnist")
@click.option("--only", multiple=True, type=click.Choice(list(VARIANTS)), help="variants to run [default: all]")
@click.option("--splits", multiple=True, type=int, default=(1, 2, 3), show_default=True, help="seeds, also of training")
@click.option("--precision", default="32-true", show_default=True, help="of the trainings")
@click.option("--json", "file", type=click.Path(path_type=Path), help="adds each training to this file")
@click.option("--quick", is_flag=True, help="few images and one epoch: says that it runs")
def main(
    *, datasets: tuple[str, ...], only: tuple[str, ...], splits: tuple[int, ...], precision: str, file: Path | None,
    quick: bool,
) -> None:  # fmt: skip
    if quick and file:
        raise click.UsageError("--quick with --json: its figures say nothing; leave one of them out")
    done: list[dict[str, Any]] = json.loads(file.read_text()) if file and file.exists() else []
    known = {(each["dataset"], each["variant"], each["split"], each["config"]["precision"]) for each in done}
    for split in splits[:1] if quick else splits:
        for dataset in datasets:
            for variant in only or VARIANTS:
                if (dataset, variant, split, precision) in known:
                    continue
                click.echo(f"{dataset}, {variant}, split {split}")
                found = run(dataset, variant, split, {"precision": precision, **(QUICK if quick else {})})
                means = {name: round(mean(values.values()), 4) for name, values in found["by_class"].items()}
                click.echo(f"  {found['state']}, {found['seconds']} s: {means}")
                done.append(found)
                if file:
                    write_whole(file, json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()
