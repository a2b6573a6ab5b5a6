"""How fast this machine trains a pack: a few seconds of training on made-up images, cached for the next time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from adcore.config import TrainConfig
from adcore.datasets import describe
from adcore.files import write_whole
from adcore.system.device import device_name

if TYPE_CHECKING:
    from adcore.datasets import ImageDataset

__all__ = ["Probe", "known_probe", "probe"]

#: Approximate training time of a probe, maximum steps per epoch, and epochs: one to warm up, two to measure.
SECONDS, STEPS, EPOCHS = 6.0, 30, 3
#: The fields of TrainConfig that decide the speed of a step.
DECISIVE = (
    "dataset", "image_size", "detector", "width", "norm", "latent_size", "patch_size", "average_weights", "batch_size",
    "precision",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Probe:
    """A measurement. device: its name; images_per_second: of training, all experiments of the pack together."""

    device: str
    images_per_second: float


def probe(config: TrainConfig, members: int, threads: int) -> Probe:
    """Train `members` experiments side by side on `threads` CPU threads, on the GPU if there is one; cache the result.

    Takes about ten seconds, longer if a single step takes a second.
    """
    import torch

    torch.set_num_threads(threads)
    measurement = Probe(device_name(), _speed(config, members))
    with contextlib.suppress(OSError):  # without a cache it is measured again
        path = _path(config, members, threads)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(dataclasses.asdict(measurement)))
    return measurement


def known_probe(config: TrainConfig, members: int, threads: int) -> Probe | None:
    """The last measurement with this device, torch version and number of threads, if any. Imports no torch."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # absent, truncated or foreign
        stored = json.loads(_path(config, members, threads).read_text(encoding="utf-8"))
        measurement = Probe(str(stored["device"]), float(stored["images_per_second"]))
        return measurement if 0 < measurement.images_per_second < float("inf") else None
    return None


def _path(config: TrainConfig, members: int, threads: int) -> Path:
    """The file of a probe, named by everything that decides its result."""
    from platformdirs import user_cache_dir

    decisive = {name: getattr(config, name) for name in DECISIVE}
    key = json.dumps([device_name(), version("torch"), threads, members, config.trains_on_anomalies, decisive])
    return Path(user_cache_dir("adcore"), "probes", f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json")


def _speed(config: TrainConfig, members: int) -> float:
    """Images/s of the pack, in epochs of as many steps as time allows."""
    single = _images_per_second(config, 1, steps=1)
    images = max(2, config.batch_size) * members * EPOCHS  # for one step in each epoch
    return _images_per_second(config, members, steps=max(1, min(STEPS, int(SECONDS * single / images))))


def _images_per_second(config: TrainConfig, members: int, steps: int) -> float:
    """Training speed of `members` experiments side by side, median of the epochs after the first."""
    from adcore.train import train

    configs = _short(config, members, steps)
    [first, *_] = train(configs, lambda _: None, data=_made_up(configs[0]))
    return median(epoch["images_per_second"] for epoch in first.history[1:] or first.history)


def _short(config: TrainConfig, members: int, steps: int) -> list[TrainConfig]:
    """`members` experiments, each with its own images and `steps` steps an epoch."""
    decisive: dict[str, Any] = {name: getattr(config, name) for name in DECISIVE}
    classes = len(describe(config.dataset).class_names)
    short = TrainConfig(
        **decisive, protocol="paper" if config.exposure.has_anomalies else "one-class", epochs=EPOCHS,
        pseudo_anomalies=config.pseudo_anomalies,
        images_per_class=steps * max(1, config.batch_size // 2), validation_images=max(100, classes), sampling="random",
    )  # fmt: skip
    named = short.classes
    return [dataclasses.replace(short, classes=(named[i % len(named)],), train_seed=i) for i in range(members)]


def _made_up(config: TrainConfig) -> ImageDataset:
    """Random images, enough for the configuration and its validation."""
    import torch

    from adcore.datasets import ImageDataset

    info = describe(config.dataset)
    count = 2 * len(info.class_names) * ((config.images_per_class or 0) + 10)
    images = torch.randint(256, (count, info.channels, info.size, info.size), dtype=torch.uint8)
    return ImageDataset(info, "train", images, torch.arange(count) % len(info.class_names), "made up")
