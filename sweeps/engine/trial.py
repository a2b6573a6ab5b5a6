"""The function that a Ray worker runs: a trial's configuration to TrainConfig to adcore.train."""

from __future__ import annotations

import contextlib
import dataclasses
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.imports import large_imports

__all__ = [
    "check_checkpoints",
    "checkpoint_path",
    "checkpoint_paths",
    "drop_checkpoints",
    "run_trial",
    "train_config",
    "trial_config",
    "use_no_more",
]


def trial_config(base: TrainConfig, *, configuration: int, group: int, **changes: Any) -> dict[str, Any]:
    """A trial's whole configuration: every TrainConfig field, and which block and group it is."""
    config = dataclasses.replace(base, **changes)
    return {**dataclasses.asdict(config), "configuration": configuration, "group": group}


def train_config(config: dict[str, Any]) -> TrainConfig:
    """The TrainConfig within a trial's configuration."""
    own = {field.name: config[field.name] for field in dataclasses.fields(TrainConfig)}
    return TrainConfig(**{**own, "classes": tuple(own["classes"])})


def checkpoint_path(home: str | Path, configuration: int, index: int, seed: int) -> Path:
    """Where the training of a class keeps its checkpoint: found by what it is, not by Ray's trial id."""
    folder = Path(home) / "checkpoints" / f"configuration-{configuration:04d}" / f"seed-{seed}"
    return folder / f"class-{index}.ckpt"


def checkpoint_paths(home: str | Path, configuration: int, classes: Sequence[int], seed: int) -> list[Path]:
    """The same of several classes."""
    return [checkpoint_path(home, configuration, index, seed) for index in classes]


def check_checkpoints(home: Path) -> None:
    """Raises UserError for a checkpoint of a sweep that is not whole: it was damaged after it had been written."""
    for path in sorted((home / "checkpoints").glob("*/*/*.ckpt")):
        if not zipfile.is_zipfile(path):  # torch's format; its directory stands at the end of the file
            raise UserError(f"{path}: not a whole checkpoint; move it away and resume again: its training begins anew")


def drop_checkpoints(home: Path, configuration: int, seed: int, *, unfinished: bool) -> None:
    """Delete the checkpoints of all groups of a configuration: nothing will go on from them.

    unfinished: those that a killed worker left half-written, too; no trial of the configuration may be running.
    """
    folder = home / "checkpoints" / f"configuration-{configuration:04d}" / f"seed-{seed}"
    for path in folder.glob("*" if unfinished else "*.ckpt"):
        with contextlib.suppress(OSError):  # it costs room, nothing else
            path.unlink()


def use_no_more(threads: int, gpus: float) -> None:
    """Hold a worker to its share of CPU threads and, where several share a GPU, of its memory."""
    import torch

    torch.set_num_threads(threads)
    if 0 < gpus < 1 and torch.cuda.is_available():  # Ray counts shares and does not limit them
        torch.cuda.set_per_process_memory_fraction(gpus)


def run_trial(config: dict[str, Any], *, data: ImageDataset, home: str, threads: int, gpus: float) -> None:
    """Train and report to Tune after each epoch; goes on from its checkpoints, if there are some.

    data: the train part; a trial has no way to the test part. threads, gpus: as for `use_no_more`.
    """
    with large_imports():
        from ray import tune

        from adcore.checkpoints import Checkpoints
        from adcore.train import train

    use_no_more(threads, gpus)
    own = train_config(config)
    paths = checkpoint_paths(home, config["configuration"], own.classes, own.train_seed)
    train(own, tune.report, data=data, checkpoints=Checkpoints(paths))
