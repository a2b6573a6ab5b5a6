"""What a user would write after Ray Tune's examples: bare PyTorch loops, Optuna, ASHA, MLflow. For peer_ray.py."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import torch
from contestants import Networks, bare_loop
from ray import tune
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from adcore import losses
from adcore.augment import Resampler
from adcore.datasets import ImageDataset
from adcore.networks import IMAGE_SIZE
from adcore.protocols.experiments import one_vs_rest
from adcore.system.cpus import allotted_cpus
from adcore.train.build import split_train
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE

__all__ = ["CONFIG", "Trial", "best_of", "search"]

#: The laptop scale's training.
CONFIG = make_plan("gan_loss_weights", SweepSettings(scale="laptop"), SPACE).search_config
SLOTS = allotted_cpus()


class OneClass:
    """One class is normal: its networks, its images and its schedule."""

    def __init__(self, params: dict[str, float], index: int, images: Tensor, data: ImageDataset) -> None:
        config = dataclasses.replace(CONFIG, **params, classes=(index,))
        split = split_train(config, data.labels)
        draw = one_vs_rest(
            data.images, data.labels, split.fit,
            sampling=config.sampling, clusters=config.clusters, split_seed=0, content_hash=data.content_hash,
            exposure=config.exposure,
        )  # fmt: skip
        experiment = draw(index, 0, 0)
        self.normal, self.anomalous = images[experiment.normal], images[experiment.anomalous]
        self.validation, self.is_anomaly = images[split.validation], data.labels[split.validation] != index
        self.networks = Networks(
            config.width, torch.device("cpu"), weights=config.weights, learning_rate=config.learning_rate, fused=True
        )
        self.half = config.batch_size // 2
        steps = config.epochs * (len(self.normal) // self.half)
        self.schedules = [OneCycleLR(each, config.learning_rate, steps) for each in self.networks.optimizers]

    def train_epoch(self) -> float:
        """An epoch in random order, mirrored by chance; the validation AUROC after it."""
        order = [torch.randperm(len(own)).split(self.half) for own in (self.normal, self.anomalous)]
        for normal, anomalous in zip(*order, strict=False):
            if len(normal) == self.half:
                bare_loop(self.networks, [(_mirrored(self.normal[normal]), _mirrored(self.anomalous[anomalous]))])
                for schedule in self.schedules:
                    schedule.step()
        generator = self.networks.generator.eval()
        with torch.no_grad():
            scores = torch.cat([_scores(self.networks, images) for images in self.validation.split(500)])
        generator.train()
        return float(roc_auc_score(self.is_anomaly, scores[:, 0]))


def _scores(networks: Networks, images: Tensor) -> Tensor:
    """Reconstruction error and weighted latent distance of [n, channels, side, side]; returns [n, 1]."""
    output, code = networks.generator(images)
    distance = losses.latent_distance(code[:, None], networks.generator.encode(output)[:, None])
    return losses.reconstruction_error(images[:, None], output[:, None]) + CONFIG.score_latent * distance


def _mirrored(images: Tensor) -> Tensor:
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)


def trial(params: dict[str, float], data: ImageDataset) -> None:
    """Ten classes, epoch by epoch."""
    torch.set_num_threads(1)
    images = Resampler(data.images.shape[-1], IMAGE_SIZE, torch.device("cpu")).plain(data.images)
    classes = [OneClass(params, index, images, data) for index in CONFIG.classes]
    for _ in range(CONFIG.epochs):
        values = [each.train_epoch() for each in classes]
        tune.report({"val_auroc_mean": sum(values) / len(values)})


@dataclasses.dataclass(frozen=True)
class Trial:
    """A configuration that was trained, all or some epochs of it, until so many seconds after the script's start."""

    params: dict[str, float]
    epochs: int
    auroc: float
    at: float


def best_of(trials: Sequence[Trial], seconds: float) -> dict[str, float]:
    """The best configuration that was through after so many seconds; the default if none was."""
    through = [each for each in trials if each.at <= seconds and each.epochs == CONFIG.epochs]
    best = max(through, key=lambda each: each.auroc, default=None)
    return best.params if best else dict(SPACE.points[SPACE.default])


def search(seconds: float, seed: int, data: ImageDataset, folder: str) -> list[Trial]:
    """The trials of so many seconds, a trial per configuration."""
    import ray
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    started = time.time()
    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    try:
        space: dict[str, Any] = {name: tune.loguniform(*each.ends) for name, each in SPACE.ranges.items()}
        found = tune.Tuner(
            tune.with_parameters(trial, data=data),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="val_auroc_mean",
                mode="max",
                search_alg=OptunaSearch(points_to_evaluate=[dict(SPACE.points[SPACE.default])], seed=seed),
                scheduler=ASHAScheduler(max_t=CONFIG.epochs, grace_period=1, reduction_factor=3),
                num_samples=-1,
                time_budget_s=seconds,
                max_concurrent_trials=SLOTS,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[MLflowLoggerCallback(f"sqlite:///{folder}/plain.db", experiment_name="plain")],
            ),
        ).fit()
    finally:
        ray.shutdown()
    reported = [each for each in found if each.config and "val_auroc_mean" in (each.metrics or {})]
    return [_trial(each.config or {}, each.metrics or {}, started) for each in reported]


def _trial(config: dict[str, Any], metrics: dict[str, Any], started: float) -> Trial:
    params = {name: config[name] for name in SPACE.ranges}
    return Trial(params, metrics["training_iteration"], metrics["val_auroc_mean"], metrics["timestamp"] - started)
