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
from sweeps.engine.machine.cluster import check_address, ray_cluster
from sweeps.engine.machine.environment import prepare_environment
from sweeps.engine.machine.resources import Resources, resources_of_cluster, resources_of_nodes
from sweeps.engine.planning.time_budget import Pace, duration, images_of, reserve

if TYPE_CHECKING:
    from sweeps.engine.plan_cost import Left
    from sweeps.engine.planning.plan import Plan
    from sweeps.engine.planning.settings import SweepSettings

__all__ = ["TrialGroup", "limit_in_words", "time_in_words"]

#: Training speed at width 8 and batch 64, images per second per CPU core: benchmarks/throughput.py on 2 cores.
CPU_SPEED_AT_WIDTH_8 = 1300
#: Seconds that the workers' start is taken to last.
STARTUP = 10.0
MEASURING = "measuring, about ten seconds ..."


@dataclasses.dataclass(frozen=True)
class TrialGroup:
    """Identical trials: each trains `members` experiments of `config` side by side. images: per trial."""

    name: str
    config: TrainConfig
    members: int
    trials: int
    images: float


def time_in_words(groups_of: Callable[[int], list[TrialGroup]], settings: SweepSettings) -> str:
    """The longest time that a plan's trials take, one kind after another; only training counts.

    groups_of: the trials for a number of slots. Raises UserError if the probe cannot be run.
    """
    if settings.probe:
        check_address(settings)
    if settings.address != "local":
        if not settings.probe:
            return "not known: --plan --probe measures a worker of the cluster, in about ten seconds"
        return _on_cluster(groups_of, settings)
    try:
        resources = resources_of_nodes([{"CPU": allotted_cpus(), "GPU": cuda_devices()}], settings)
    except UserError as error:
        if settings.probe:
            raise
        return f"not known: {error}"
    with _devices_of(resources):
        return _on_this_machine(groups_of(resources.slots), settings, resources)


def limit_in_words(
    plan: Plan, search_group_of: Callable[[int], TrialGroup | None], settings: SweepSettings, left: Left | None
) -> str:
    """How a limit would be divided between the search and what follows, if this machine has been measured.

    search_group_of: the search's trials for a number of slots, None once it has ended. left: of a sweep that goes on.
    Raises UserError for --gpu-hours without GPUs.
    """
    if settings.address != "local":
        return "divided by the speed that the search measures"
    resources = resources_of_nodes([{"CPU": allotted_cpus(), "GPU": cuda_devices()}], settings)
    seconds = settings.limit_seconds(resources.slots, resources.gpus) or 0.0
    gpus_in_use = resources.slots * resources.gpus
    used = (left.gpu_seconds_used / gpus_in_use if settings.gpu_hours else left.seconds_used) if left else 0.0
    limit = f"{duration(seconds)}, {duration(used)} of it used" if used else duration(seconds)
    if not (group := search_group_of(resources.slots)):
        return f"{limit}; the search has ended"
    with _devices_of(resources):
        measured = known_probe(group.config, group.members, resources.cpus)
    if measured is None:
        return f"{limit}, divided by the speed that the search measures, or --plan --probe now"
    share = min(1.0, resources.gpus or 1.0)
    per_class_epoch = images_of(group.config) / group.config.epochs / len(plan.classes)
    pace = Pace(measured.images_per_second * share / per_class_epoch, STARTUP)
    reserved_seconds = reserve(plan, pace, resources.slots, seconds)
    if (for_search := seconds - used - reserved_seconds) <= 0:
        return f"{limit}, too short: confirm and final alone take about {duration(reserved_seconds)}"
    return (
        f"{limit}: confirm and final at most {duration(reserved_seconds)}, the search the rest, if it "
        f"needs it: about {for_search * pace.speed * resources.slots:.0f} class-epochs at the measured speed"
    )


def _on_this_machine(groups: list[TrialGroup], settings: SweepSettings, resources: Resources) -> str:
    if settings.probe:
        os.environ.update({name: os.environ.get(name, value) for name, value in PATIENT_THREADS.items()})
        click.echo(MEASURING, err=True)
        kinds = dict.fromkeys((group.config, group.members) for group in groups)
        probe_of = {kind: probe(*kind, resources.cpus) for kind in kinds}
        return _measured_in_words(groups, [probe_of[group.config, group.members] for group in groups], resources)
    known_probes = [known_probe(group.config, group.members, resources.cpus) for group in groups]
    probes = [each for each in known_probes if each]
    if len(probes) == len(groups):
        return _measured_in_words(groups, probes, resources)
    if resources.gpus:
        return "not known: --plan --probe measures this machine, in about ten seconds"
    sizes = [(IMAGE_SIZE / group.config.image_size) ** 2 for group in groups]
    speeds = [
        CPU_SPEED_AT_WIDTH_8 * (8 / group.config.width) ** 1.2 * size for group, size in zip(groups, sizes, strict=True)
    ]
    return (
        f"training at most about {_duration(groups, speeds, resources)}, {resources.slots} at a time, if an idle core "
        f"trains {CPU_SPEED_AT_WIDTH_8} images/s at width 8; --plan --probe measures it"
    )


def _on_cluster(groups_of: Callable[[int], list[TrialGroup]], settings: SweepSettings) -> str:
    from sweeps.engine.machine.workers import on_workers

    prepare_environment(settings)
    with ray_cluster(settings):
        click.echo(MEASURING, err=True)
        resources = resources_of_cluster(settings)
        groups = groups_of(resources.slots)
        calls = {
            (group.config, group.members): (
                group.config,
                group.members,
                resources.shares,
                describe(group.config.dataset),
            )
            for group in groups
        }
        probe_of = dict(on_workers(_probe_on_worker, calls, resources.with_slots(1)))
    return _measured_in_words(groups, [probe_of[group.config, group.members] for group in groups], resources)


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


def _measured_in_words(groups: Sequence[TrialGroup], probes: Sequence[Probe], resources: Resources) -> str:
    share = min(1.0, resources.gpus or 1.0)  # trials that share a GPU share its speed
    speeds = [each.images_per_second * share for each in probes]
    shown = ", ".join(f"{group.name} {speed:,.0f}" for group, speed in zip(groups, speeds, strict=True))
    return (
        f"training at most about {_duration(groups, speeds, resources)}, {resources.slots} at a time, images/s of "
        f"each: {shown} ({probes[0].device}, measured)"
    )


def _duration(groups: Sequence[TrialGroup], speeds: Sequence[float], resources: Resources) -> str:
    rounds = [math.ceil(group.trials / resources.slots) * group.images for group in groups]
    minutes = sum(images / speed for images, speed in zip(rounds, speeds, strict=True)) / 60
    return f"{max(1, minutes):.0f} min" if minutes < 180 else f"{minutes / 60:.0f} h"
