"""Estimate how long a plan's trainings take, from speeds measured on this device or on a similar CPU."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from adcore.config import IMAGE_SIZE, TrainConfig
from adcore.datasets import DatasetInfo, describe, remember
from adcore.errors import UserError
from adcore.system.cpus import PATIENT_THREADS, allotted_cpus
from adcore.system.device import cuda_devices
from adcore.train.probe import Probe, known_probe, probe
from sweeps.engine.machine.cluster import check_address, prepare_environment, ray_cluster
from sweeps.engine.machine.resources import Resources, resources_of_cluster, resources_of_nodes
from sweeps.engine.planning.time_budget import Pace, duration, images_of, reserve

if TYPE_CHECKING:
    from sweeps.engine.planning.plan import Plan
    from sweeps.engine.planning.settings import SweepSettings

__all__ = ["Work", "limit_in_words", "time_in_words"]

#: Training speed at width 8 and batch 64, images per second per CPU core: benchmarks/throughput.py on 2 cores.
CPU_SPEED_AT_WIDTH_8 = 1300
#: Seconds that the workers' start is taken to last.
STARTUP = 10.0
MEASURING = "measuring, about ten seconds ..."


@dataclasses.dataclass(frozen=True)
class Work:
    """Identical trials: each trains `members` experiments of `config` side by side. images: per trial."""

    name: str
    config: TrainConfig
    members: int
    trials: int
    images: float


def time_in_words(works_of: Callable[[int], list[Work]], settings: SweepSettings) -> str:
    """The longest time that a plan's trials take, one kind after another; only training counts.

    works_of: the trials for a number of slots. Raises UserError if the probe cannot be run.
    """
    if settings.probe:
        check_address(settings)
    if settings.address != "local":
        if not settings.probe:
            return "not known: --plan --probe measures a worker of the cluster, in about ten seconds"
        return _on_cluster(works_of, settings)
    try:
        resources = resources_of_nodes([{"CPU": allotted_cpus(), "GPU": cuda_devices()}], settings)
    except UserError as error:
        if settings.probe:
            raise
        return f"not known: {error}"
    with _devices_of(resources):
        return _on_this_machine(works_of(resources.slots), settings, resources)


def limit_in_words(plan: Plan, search_of: Callable[[int], Work], settings: SweepSettings) -> str:
    """How a limit would be divided between the search and what follows, if this machine has been measured.

    search_of: the search's trials for a number of slots. Raises UserError for --gpu-hours without GPUs.
    """
    resources = resources_of_nodes([{"CPU": allotted_cpus(), "GPU": cuda_devices()}], settings)
    if settings.address != "local":
        return "divided by the speed that the search measures"
    seconds, work = settings.limit_seconds(resources.slots, resources.gpus) or 0.0, search_of(resources.slots)
    with _devices_of(resources):
        found = known_probe(work.config, work.members, resources.cpus)
    if found is None:
        return f"{duration(seconds)}, divided by the speed that the search measures, or --plan --probe now"
    share = min(1.0, resources.gpus or 1.0)
    per_class_epoch = images_of(work.config) / work.config.epochs / len(plan.classes)
    pace = Pace(found.images_per_second * share / per_class_epoch, STARTUP)
    kept = reserve(plan, pace, resources.slots, seconds)
    if kept >= seconds:
        return f"{duration(seconds)} is too short: confirm and final alone take about {duration(kept)}"
    searched = (seconds - kept) * pace.speed * resources.slots
    return (
        f"{duration(seconds)}: confirm and final at most {duration(kept)}, the search the rest, if it needs it: about "
        f"{searched:.0f} class-epochs at the measured speed"
    )


def _on_this_machine(works: list[Work], settings: SweepSettings, resources: Resources) -> str:
    if settings.probe:
        os.environ.update({name: os.environ.get(name, value) for name, value in PATIENT_THREADS.items()})
        click.echo(MEASURING, err=True)
        kinds = dict.fromkeys((work.config, work.members) for work in works)
        alike = {kind: probe(*kind, resources.cpus) for kind in kinds}
        return _measured(works, [alike[work.config, work.members] for work in works], resources)
    known = [known_probe(work.config, work.members, resources.cpus) for work in works]
    probes = [each for each in known if each]
    if len(probes) == len(works):
        return _measured(works, probes, resources)
    if resources.gpus:
        return "not known: --plan --probe measures this machine, in about ten seconds"
    sizes = [(IMAGE_SIZE / work.config.image_size) ** 2 for work in works]
    speeds = [
        CPU_SPEED_AT_WIDTH_8 * (8 / work.config.width) ** 1.2 * size for work, size in zip(works, sizes, strict=True)
    ]
    return (
        f"training at most about {_duration(works, speeds, resources)}, {resources.slots} at a time, if a core trains "
        f"{CPU_SPEED_AT_WIDTH_8} images/s at width 8; --plan --probe measures it"
    )


def _on_cluster(works_of: Callable[[int], list[Work]], settings: SweepSettings) -> str:
    from sweeps.engine.machine.workers import on_workers

    prepare_environment(settings)
    with ray_cluster(settings):
        click.echo(MEASURING, err=True)
        resources = resources_of_cluster(settings)
        works = works_of(resources.slots)
        calls = {
            (work.config, work.members): (work.config, work.members, resources.shares, describe(work.config.dataset))
            for work in works
        }
        alike = dict(on_workers(_probe_on_worker, calls, resources.with_slots(1)))
    return _measured(works, [alike[work.config, work.members] for work in works], resources)


def _probe_on_worker(config: TrainConfig, members: int, shares: dict[str, Any], info: DatasetInfo) -> Probe:
    from sweeps.engine.search.trial import limit_process

    remember(info)
    limit_process(**shares)
    return probe(config, members, shares["threads"])


@contextmanager
def _devices_of(resources: Resources) -> Generator[None]:
    """Let this process see the devices that a trial sees: no GPU if trials have none."""
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not resources.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        yield
    finally:
        if not resources.gpus:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def _measured(works: Sequence[Work], probes: Sequence[Probe], resources: Resources) -> str:
    share = min(1.0, resources.gpus or 1.0)  # trials that share a GPU share its speed
    speeds = [each.images_per_second * share for each in probes]
    shown = ", ".join(f"{work.name} {speed:,.0f}" for work, speed in zip(works, speeds, strict=True))
    return (
        f"training at most about {_duration(works, speeds, resources)}, {resources.slots} at a time, images/s of each: "
        f"{shown} ({probes[0].device}, measured)"
    )


def _duration(works: Sequence[Work], speeds: Sequence[float], resources: Resources) -> str:
    rounds = [math.ceil(work.trials / resources.slots) * work.images for work in works]
    minutes = sum(images / speed for images, speed in zip(rounds, speeds, strict=True)) / 60
    return f"{max(1, minutes):.0f} min" if minutes < 180 else f"{minutes / 60:.0f} h"
