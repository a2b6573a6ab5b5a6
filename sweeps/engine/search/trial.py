"""The function that a Ray worker runs: a trial's pack of experiments to adcore.train."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.system.imports import large_imports

__all__ = [
    "Part",
    "check_checkpoints",
    "checkpoint_path",
    "checkpoint_paths",
    "drop_checkpoints",
    "epochs_of",
    "part_paths",
    "parts_of",
    "run_trial",
    "trial_config",
    "use_no_more",
]


@dataclasses.dataclass(frozen=True)
class Part:
    """What a pack trains of a configuration: some of its experiments, which have as many epochs behind them.

    configuration: its number. config: its settings, with the classes of these experiments. start: epochs trained.
    """

    configuration: int
    config: TrainConfig
    start: int = 0

    @property
    def work(self) -> tuple[int, tuple[int, ...], int]:
        """What it trains, whatever the trial: configuration, classes and seed."""
        return self.configuration, self.config.classes, self.config.train_seed


def trial_config(parts: Sequence[Part], until: int) -> dict[str, Any]:
    """A trial's configuration, of plain values: the parts of its pack, and the epoch that they are trained to."""
    return {"parts": [dataclasses.asdict(each) for each in parts], "until": until}


def parts_of(config: Mapping[str, Any]) -> list[Part]:
    """The parts of a trial's pack."""
    return [Part(each["configuration"], TrainConfig(**each["config"]), each["start"]) for each in config["parts"]]


def epochs_of(result: Mapping[str, Any]) -> list[dict[str, float] | None]:
    """The metrics that a trial has reported last of each of its parts, in order; None before the first of a part."""
    return json.loads(result["metrics"])


def checkpoint_path(home: str | Path, configuration: int, index: int, seed: int) -> Path:
    """Where the training of a class keeps its checkpoint: found by what it is, not by Ray's trial id."""
    folder = Path(home) / "checkpoints" / f"configuration-{configuration:04d}" / f"seed-{seed}"
    return folder / f"class-{index}.ckpt"


def checkpoint_paths(home: str | Path, configuration: int, classes: Sequence[int], seed: int) -> list[Path]:
    """The same of several classes."""
    return [checkpoint_path(home, configuration, index, seed) for index in classes]


def part_paths(home: str | Path, parts: Sequence[Part]) -> list[Path]:
    """The same of all experiments of a pack."""
    return [path for part in parts for path in checkpoint_paths(home, *part.work)]


def check_checkpoints(home: Path) -> None:
    """Raises UserError for a checkpoint of a sweep that is not whole: it was damaged after it had been written."""
    for path in sorted((home / "checkpoints").glob("*/*/*.ckpt")):
        if not zipfile.is_zipfile(path):  # torch's format; its directory stands at the end of the file
            raise UserError(f"{path}: not a whole checkpoint; move it away and resume again: its training begins anew")


def drop_checkpoints(home: Path, configuration: int, seed: int, *, unfinished: bool) -> None:
    """Delete the checkpoints of a configuration: nothing will go on from them.

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


def run_trial(
    config: dict[str, Any], *, data: ImageDataset, home: str, members: int, threads: int, gpus: float
) -> None:
    """Train a pack and report to Tune after each epoch; goes on from its checkpoints, if there are some.

    data: the train part; a trial has no way to the test part. members: experiments side by side at the most. threads,
    gpus: as for `use_no_more`.
    """
    with large_imports():
        from ray import tune

        from adcore.train import train
        from adcore.train.checkpoints import Checkpoints

    use_no_more(threads, gpus)
    parts = parts_of(config)
    last: list[dict[str, float] | None] = [None] * len(parts)

    def report(epoch: list[dict[str, float] | None]) -> None:
        last[:] = [now or before for now, before in zip(epoch, last, strict=True)]
        speed = next(each["images_per_second"] for each in epoch if each)
        tune.report({"metrics": json.dumps(last), "images_per_second": speed})  # as text: Tune would flatten it

    train(
        [part.config for part in parts], report,
        data=data, checkpoints=Checkpoints(part_paths(home, parts)), until=config["until"], side_by_side=members,
    )  # fmt: skip
