"""The control of every two-discriminator figure: a plain supervised CNN on the same split and the same draws.

    python benchmarks/supervised_control.py --json FILE          # 28 core minutes

With all nine anomaly classes in training, one-vs-rest detection is binary classification. A CNN (three blocks of two
3x3 convolutions, 32, 64 and 128 channels, batch norm, dropout .2, mean pooling, one logit, 0.29 million parameters) is
trained per class with binary cross-entropy on adcore's own batches: the same 50,000 fit images, k-means draws and
flips as the GAN, Adam with a one-cycle rate of 3e-3, 4 epochs. Its score is the logit, the mean over an image and its
mirror image; two seeds, the fresh ones of a sweep.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adcore.augment import Augmentation, Resampler
from adcore.datasets import load
from adcore.metrics import measure
from adcore.networks import IMAGE_SIZE
from adcore.protocols.experiments import one_vs_rest
from adcore.protocols.splits import split
from adcore.random_streams import generator
from adcore.train.datamodule import AnomalyDetectionDataModule, ImageStream
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE

#: The GAN's training that this is the control of, and the fresh seeds of its confirmation.
PLAN = make_plan("gan_loss_weights", SweepSettings(scale="workstation"), SPACE)
GAN, SEEDS = PLAN.base, PLAN.confirm_seeds
FLIPS = Augmentation(**{name: getattr(GAN, name) for name in Augmentation._fields})
EPOCHS, BATCH, RATE = 4, 64, 3e-3


def network(channels: int) -> nn.Sequential:
    """Images [n, channels, 32, 32] to logits [n, 1]."""
    layers: list[nn.Module] = []
    for width in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 1))


def train(dataset: str, normal: int, seed: int, images_per_class: int | None, epochs: int) -> dict[str, Any]:
    """Train the control of one experiment; its figures on validation and on the test part."""
    torch.set_num_threads(1)
    torch.manual_seed(int(generator(seed, normal, "init").initial_seed()) % 2**63)  # dropout and initial weights
    data = load(dataset, "train")
    parts = split(
        data.labels, split_seed=GAN.split_seed, images_per_class=images_per_class, validation_images=images_per_class
    )
    draw = one_vs_rest(
        data.images, data.labels, parts.fit, sampling=GAN.sampling, clusters=GAN.clusters, split_seed=GAN.split_seed,
        content_hash=data.content_hash,
    )  # fmt: skip
    stream = ImageStream(lambda epoch: draw(normal, seed, epoch), FLIPS, seed)
    module = AnomalyDetectionDataModule(data.images, [stream], [0], batch_size=BATCH, epochs=epochs)
    model = network(data.channels)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    steps = epochs * module.steps_per_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    started = time.perf_counter()
    for epoch in range(epochs):
        for normals, anomalies in module.batches(epoch, torch.device("cpu")).of(range(1)):
            truth = torch.cat([torch.zeros(len(normals)), torch.ones(len(anomalies))])
            loss = F.binary_cross_entropy_with_logits(model(torch.cat([normals, anomalies]))[:, 0], truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - started
    test = load(dataset, "test")
    images, labels = (part[:images_per_class] for part in (test.images, test.labels))
    return {
        "class": normal,
        "seed": seed,
        "seconds": round(seconds, 1),
        "validation": measure(logits(model, data.images[parts.validation]), data.labels[parts.validation] != normal),
        "test": measure(logits(model, images), labels != normal),
    }


def logits(model: nn.Module, images: Tensor) -> Tensor:
    """Logits of uint8 images, [n], each the mean over the image and its mirror image."""
    model.eval()
    resample = Resampler(images.shape[-1], IMAGE_SIZE, torch.device("cpu"), torch.float32)
    with torch.no_grad():
        plain = [resample.plain(batch) for batch in images.split(500)]
        return torch.cat([(model(batch) + model(batch.flip(3)))[:, 0] / 2 for batch in plain])


def main() -> None:
    """Every class and seed, one process per core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="one class and seed, few images: says that it runs")
    flags = parser.parse_args()
    if flags.quick and flags.json:
        parser.error("--quick with --json: its figures say nothing; leave one of them out")
    jobs = [(flags.dataset, normal, seed, None, EPOCHS) for seed in SEEDS for normal in range(10)]
    if flags.quick:
        jobs = [(flags.dataset, 0, SEEDS[0], 100, 1)]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.starmap(train, jobs, chunksize=1)
    for seed in dict.fromkeys(each["seed"] for each in found):
        own = [each["test"]["auroc"] for each in found if each["seed"] == seed]
        print(f"seed {seed}: test mean {sum(own) / len(own):.4f} | " + "  ".join(f"{value:.4f}" for value in own))
    if flags.json:
        flags.json.write_text(json.dumps({"dataset": flags.dataset, "epochs": EPOCHS, "runs": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
