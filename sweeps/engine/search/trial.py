"""The function that a Ray worker runs: it trains a trial's pack of experiments with adcore.train."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, remember
from sweeps.engine.machine.shared_storage import require_visible
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.trial_checkpoints import trial_checkpoints

__all__ = ["Part", "epochs_of", "limit_process", "parts_of", "run_trial", "trial_config"]


@dataclasses.dataclass(frozen=True)
class Part:
    """A pack's share of one configuration: some of its experiments, all trained for equally many epochs so far.

    configuration: its number. config: its settings, with the classes of these experiments. start: epochs trained.
    """

    configuration: int
    config: TrainConfig
    start: int = 0

    @property
    def training_key(self) -> tuple[int, tuple[int, ...], int]:
        """Its training, whatever the trial: configuration, classes and seed."""
        return self.configuration, self.config.classes, self.config.train_seed


def trial_config(parts: Sequence[Part], until: int) -> dict[str, Any]:
    """A trial's configuration as plain values: the parts of its pack, and the epoch that they are trained to."""
    return {"parts": [dataclasses.asdict(part) for part in parts], "until": until}


def parts_of(config: Mapping[str, Any]) -> list[Part]:
    """The parts of a trial's pack."""
    return [Part(part["configuration"], TrainConfig(**part["config"]), part["start"]) for part in config["parts"]]


def epochs_of(result: Mapping[str, Any]) -> list[dict[str, float] | None]:
    """The metrics that a trial last reported for each of its parts, in order; None before a part's first report."""
    return json.loads(result["metrics"])


def limit_process(threads: int, gpus: float) -> None:
    """Hold a worker to its share of CPU threads and, if several share a GPU, of its memory."""
    import torch

    torch.set_num_threads(threads)
    if 0 < gpus < 1 and torch.cuda.is_available():  # Ray counts shares and does not limit them
        torch.cuda.set_per_process_memory_fraction(gpus)


def run_trial(
    config: dict[str, Any], *, data: ImageDataset, home: SweepHome, members: int, threads: int, gpus: float
) -> None:
    """Train a pack and report to Tune after each epoch; resumes from its checkpoints, if there are any.

    data: the train part; a trial cannot reach the test part. members: experiments side by side at most. threads, gpus:
    as for `limit_process`. Raises UserError if this node does not see the sweep's folder, StorageError if its store
    cannot be written.
    """
    from ray import tune

    from adcore.train import train

    require_visible(home.token)
    limit_process(threads, gpus)
    remember(data.info)
    parts = parts_of(config)
    last: list[dict[str, float] | None] = [None] * len(parts)

    def report(epoch: list[dict[str, float] | None]) -> None:
        last[:] = [now or before for now, before in zip(epoch, last, strict=True)]
        speed = next(each["images_per_second"] for each in epoch if each)
        tune.report({"metrics": json.dumps(last), "images_per_second": speed})  # as text: Tune would flatten it

    with trial_checkpoints(home, [part.training_key for part in parts]) as checkpoints:
        train(
            [part.config for part in parts], report,
            data=data, checkpoints=checkpoints, until=config["until"], side_by_side=members,
        )  # fmt: skip
