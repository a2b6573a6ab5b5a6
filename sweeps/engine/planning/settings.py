"""SweepSettings: the flags of every sweep script; SCALES: what each scale stands for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from adcore.config import PRECISIONS
from adcore.data_checks import experiments_of
from adcore.datasets import describe
from adcore.errors import UserError
from adcore.metric_names import LABELS
from adcore.options import option
from adcore.protocols.definitions import PROTOCOLS
from sweeps.engine.planning.run_settings import RunSettings, check_sweep_name
from sweeps.engine.planning.samplers import HUB, SAMPLERS

__all__ = ["LEVELS", "MEMBERS", "SCALES", "TRAINING_FLAGS", "Scale", "SweepSettings"]

#: TrainConfig fields that a flag of the same name sets, if the script has it.
TRAINING_FLAGS = (
    "dataset", "image_size", "epochs", "protocol", "known_classes", "labelled_share", "pollution", "detector",
    "precision",
)  # fmt: skip
#: Experiments that a trial trains side by side by default: benchmarks/members.py.
MEMBERS = 10
#: The runs that MLflow can have of a search, from the top down.
LEVELS = ("sweep", "config", "class")
#: Configurations up to which each class of each has a run by default. Every scale's search has fewer; with thousands,
#: eleven runs each are more than MLflow's database writes while they train (docs/scale.md).
CLASS_RUNS = 200


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much to search and train. train: TrainConfig fields that differ from their defaults.

    search: fields that differ further in the search, if its trainings are smaller than the confirmation's.
    """

    train: Mapping[str, Any]
    configs: int
    best: int  # configurations that are confirmed, besides the default
    seeds: int  # fresh seeds for each of them
    paper: bool  # whether the paper's weights are confirmed as well
    search: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "smoke": Scale(
            {"dataset": "digits", "epochs": 2, "batch_size": 32, "images_per_class": None, "validation_images": None},
            configs=4, best=1, seeds=1, paper=False,
        ),
        "laptop": Scale({"score_latent": 1.0}, configs=24, best=1, seeds=2, paper=False),
        "workstation": Scale(
            {
                "width": 16, "epochs": 10, "draws": "each-epoch", "mirrored_scores": True, "score_latent": 1.0,
                "images_per_class": None, "validation_images": None,
            },
            configs=48, best=1, seeds=2, paper=False,
            search={"width": 8, "epochs": 6},
        ),
        "gpu": Scale(
            {
                "width": 64, "batch_size": 256, "epochs": 27, "draws": "each-epoch", "mirrored_scores": True,
                "score_latent": 1.0, "images_per_class": None, "validation_images": None,
            },
            configs=160, best=3, seeds=3, paper=True,
        ),
        "paper": Scale(
            {
                "width": 64, "batch_size": 1, "epochs": 300, "crop": True, "vertical_flip": True, "rotate": True,
                "schedule": "halve-every-50", "images_per_class": None, "validation_images": None,
            },
            configs=40, best=3, seeds=3, paper=True,
        ),
    }
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class SweepSettings(RunSettings):
    """The flags of a sweep. None and "auto" are resolved by the scale or the cluster.

    Raises UserError with field, value and legal range of a bad one.
    """

    changeable: ClassVar[tuple[str, ...]] = (
        *RunSettings.changeable, "open_test_again", "probe", "extend", "time_limit", "gpu_hours", "mlflow_level",
    )  # fmt: skip

    scale: str | None = option(
        None, "how much to search [default: gpu if there are GPUs, else laptop]", choices=tuple(SCALES)
    )
    dataset: str | None = option(
        None, "data set, or data of your own: folder:PATH, npz:FILE or csv:FILE [default: the scale's]"
    )
    image_size: int | None = option(None, "side of the networks' images: 32, 64 or 128 [default: 32]", at_least=32)
    normal_class: tuple[int | str, ...] = option((), "classes that are normal in turn: all, 6, Shirt, or 0,3,6")
    protocol: str | None = option(
        None,
        "anomaly classes seen in training: paper (all), seen-unseen, one-class, held-out; or leave-one-out; names with "
        "a number fix the image counts and need a single --normal-class [default: paper]",
        choices=PROTOCOLS,
    )
    known_classes: int | None = option(None, "seen-unseen: known anomaly classes [default: 1]", at_least=1)
    labelled_share: float | None = option(
        None, "labelled anomalies / (labelled anomalies + normal images) [default: 0.5]", above=0, at_most=0.5
    )
    pollution: float | None = option(
        None, "share of the normal fit images that are in fact anomalies [default: 0]", at_least=0, at_most=0.5
    )
    objective: str = option(
        "mean",
        "mean: one configuration for all classes; per-class: also one for each class",
        choices=("mean", "per-class"),
    )
    metric: str = option(
        "auroc", "metric to rank by on validation images, mean over the classes (fpr95 is minimised)",
        choices=tuple(LABELS),
    )  # fmt: skip
    set: tuple[str, ...] = option(
        (), "train with this value of any setting, such as --set width=16 --set norm=group; may be repeated",
        form="FIELD=VALUE",
    )  # fmt: skip
    range: tuple[str, ...] = option(
        (), "search a setting between LOW and HIGH (LOW:HIGH, LOW:HIGH:log, LOW:HIGH:int, LOW:HIGH:STEP), or among "
        "values (A|B|C), such as --range abc=0.5:5:log --range 'norm=batch|group'; may be repeated",
        form="FIELD=RANGE",
    )  # fmt: skip
    point: tuple[str, ...] = option(
        (), "a configuration to try first, such as --point abc=3,learning_rate=0.002; may be repeated",
        form="FIELD=VALUE,...",
    )  # fmt: skip
    start_from: str | None = option(None, "name of a finished sweep whose winner is the first configuration to try")
    precision: str | None = option(
        None,
        "floating point precision of training; bf16-mixed for CUDA and CPUs with AVX512_BF16 [default: the scale's]",
        choices=PRECISIONS,
    )
    configs: int | None = option(None, "configurations to try, the first points included", at_least=1)
    epochs: int | None = option(None, "epochs of a full training", at_least=1)
    seed: int = option(0, "seed of the search and of its trainings", at_least=0, at_most=2**53 - 100)
    sampler: str = option(
        "tpe", f"sampler that proposes configurations: {', '.join(SAMPLERS)}, or {HUB}<name> from OptunaHub"
    )
    members_per_trial: str = option("auto", "most experiments that a trial trains side by side: auto or a number")
    probe: bool = option(
        False, "with --plan: train for about ten seconds, here or on a cluster worker, to estimate the time"
    )
    open_test_again: bool = option(False, "with --resume: score the test part again, and record that")
    time_limit: float | None = option(
        None, "how long the sweep may run, answer included: 45s, 90m, 1h30m, 2d", above=0, is_time=True, none="none"
    )
    gpu_hours: float | None = option(None, "a limit in GPU hours: hours x GPUs in use at a time", above=0, none="none")
    mlflow_level: str | None = option(
        None, "the search's runs in MLflow: the sweep alone, also one of each configuration, or also one of each class "
        f"of it [default: class up to {CLASS_RUNS} configurations, config beyond]",
        choices=LEVELS,
    )  # fmt: skip
    extend: str | None = option(None, "continue this sweep up to so many --configs, and confirm again")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sweep_name(self.start_from)
        if self.open_test_again and not self.resume:
            raise UserError("--open-test-again: a new sweep opens the test part anyway; use it with --resume NAME")
        check_sweep_name(self.extend)
        if self.extend and (self.name or self.resume):
            raise UserError("--extend cannot be combined with --name or --resume: it names the sweep that it continues")
        if self.extend and not self.configs:
            raise UserError(f"--extend {self.extend}: expected --configs with how many the sweep is to have in all")
        if self.time_limit and self.gpu_hours:
            raise UserError("--time-limit and --gpu-hours both say how long the sweep may run; give one")
        if (self.time_limit or self.gpu_hours) and self.objective == "per-class":
            raise UserError("--time-limit and --gpu-hours cannot be combined with --objective per-class")
        if self.probe and not self.plan:
            raise UserError("--probe: only measures speed for the time that --plan prints; use it with --plan")
        if self.dataset is not None:
            experiments_of(describe(self.dataset), self.normal_class, "normal-class")
        if not re.fullmatch(r"auto|[1-9][0-9]{0,3}", self.members_per_trial):
            raise UserError(f"--members-per-trial {self.members_per_trial!r}: expected auto or a whole number >= 1")

    @property
    def continued_sweep(self) -> str | None:
        return self.resume or self.extend

    def limit_seconds(self, slots: int, gpus: float) -> float | None:
        """As RunSettings.limit_seconds. Raises UserError for --gpu-hours if trials take no GPU."""
        if self.gpu_hours and not gpus:
            raise UserError(f"--gpu-hours {self.gpu_hours:g}: trials take no GPU here; give --time-limit, or none")
        return 3600 * self.gpu_hours / (slots * gpus) if self.gpu_hours else self.time_limit

    def level_for(self, configs: int) -> str:
        """The lowest level of the runs of a search with so many configurations."""
        return self.mlflow_level or (LEVELS[-1] if configs <= CLASS_RUNS else "config")

    @property
    def train_fields(self) -> dict[str, Any]:
        """The TrainConfig fields that were given, by flags of the same names."""
        return {name: value for name in TRAINING_FLAGS if (value := getattr(self, name, None)) is not None}

    @property
    def is_for_gpus(self) -> bool:
        """Whether the scale is out of reach without a GPU."""
        return self.scale == "gpu"

    @staticmethod
    def default_scale(*, has_gpus: bool) -> str:
        """The scale for a machine or a cluster, if none is given."""
        return "gpu" if has_gpus else "laptop"

    @property
    def members(self) -> int:
        """The most experiments that a trial trains side by side."""
        return MEMBERS if self.members_per_trial == "auto" else int(self.members_per_trial)
