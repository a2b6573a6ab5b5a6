"""How fast this machine trains a configuration: some seconds of training on made-up images, kept for the next time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from adcore.config import TrainConfig
from adcore.device import device_name
from adcore.files import write_whole

if TYPE_CHECKING:
    from adcore.datasets import ImageDataset

__all__ = ["SIZES", "Probe", "known_probe", "probe"]

#: Experiments side by side that are tried, and how long: the first size that takes longer than a part is the last.
SIZES = (1, 5, 10, 20)
PART_SECONDS = 4.0
#: What of TrainConfig decides the speed of a step.
DECISIVE = ("dataset", "detector", "width", "norm", "latent_size", "batch_size", "precision")


@dataclasses.dataclass(frozen=True)
class Probe:
    """What was measured on a device. speeds: training images/s of a pack, by its number of experiments.

    member_bytes: GPU memory of an experiment, total_bytes: of the GPU; 0 on a CPU.
    """

    device: str
    speeds: dict[int, float]
    member_bytes: int = 0
    total_bytes: int = 0

    def speed(self, members: int) -> float:
        """Images/s of a pack: of the largest one tried that is no larger."""
        return self.speeds[max((size for size in self.speeds if size <= members), default=min(self.speeds))]

    def fits(self, share: float) -> int:
        """Experiments that a share of the GPU's memory holds side by side, at the least 1."""
        return max(1, int(share * self.total_bytes / self.member_bytes))


def probe(config: TrainConfig, threads: int) -> Probe:
    """What is known of this device, or is measured now on `threads` CPU threads: about ten seconds."""
    found = known_probe(config, threads)
    if found is None:
        found = _measure(config, threads)
        with contextlib.suppress(OSError):  # a cache that cannot be written costs ten seconds the next time
            path = _path(config, threads)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(dataclasses.asdict(found)))
    return found


def known_probe(config: TrainConfig, threads: int) -> Probe | None:
    """What was measured earlier with this device, torch and number of threads. Imports no torch."""
    with contextlib.suppress(
        OSError, ValueError, TypeError, AttributeError, KeyError
    ):  # absent, cut, of another format
        stored = json.loads(_path(config, threads).read_text())
        speeds = {int(size): float(speed) for size, speed in stored.pop("speeds").items()}
        return Probe(**stored, speeds=speeds) if speeds else None
    return None


def _path(config: TrainConfig, threads: int) -> Path:
    from platformdirs import user_cache_dir

    decisive = {name: getattr(config, name) for name in DECISIVE}
    key = json.dumps([device_name(), version("torch"), threads, decisive])
    return Path(user_cache_dir("adcore"), "probes", f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json")


def _measure(config: TrainConfig, threads: int) -> Probe:
    import torch

    import adcore.fitting  # noqa: F401 (its import would count as training)

    torch.set_num_threads(threads)
    is_cuda = torch.cuda.is_available()
    steps = 30 if is_cuda else 4
    data = _made_up(config, steps)
    speeds: dict[int, float] = {}
    member_bytes = 0
    for size in SIZES:
        began = time.perf_counter()
        try:
            speeds[size] = _speed(_members(config, size, steps), data)
        except torch.OutOfMemoryError:
            break
        if is_cuda:
            member_bytes = torch.cuda.max_memory_reserved() // size
        if time.perf_counter() - began > PART_SECONDS:
            break
    total = torch.cuda.get_device_properties(0).total_memory if is_cuda else 0
    return Probe(device_name(), speeds, member_bytes, total)


def _members(config: TrainConfig, size: int, steps: int) -> list[TrainConfig]:
    """So many experiments with images of their own, of a few steps an epoch."""
    images = steps * max(1, config.batch_size // 2)
    own: dict[str, Any] = {name: getattr(config, name) for name in DECISIVE}
    short = TrainConfig(**own, epochs=3, images_per_class=images, validation_images=100, sampling="random")
    return [
        dataclasses.replace(short, classes=(place % len(short.classes),), train_seed=place) for place in range(size)
    ]


def _speed(members: list[TrainConfig], data: ImageDataset) -> float:
    """Images/s of all of them side by side, of the epochs after the first, which warms up."""
    from adcore.train import train

    [first, *_] = train(members, lambda _: None, data=data)
    return median(epoch["images_per_second"] for epoch in first.history[1:])


def _made_up(config: TrainConfig, steps: int) -> ImageDataset:
    import torch

    from adcore.datasets import DATASETS, ImageDataset

    info = DATASETS[config.dataset]
    count = 2 * len(info.class_names) * (steps * max(1, config.batch_size // 2) + 10)  # some of them are validation
    images = torch.randint(256, (count, info.channels, info.size, info.size), dtype=torch.uint8)
    return ImageDataset(info, "train", images, torch.arange(count) % len(info.class_names), "made up")
