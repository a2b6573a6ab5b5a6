"""What a sweep's device does in a second: how long its plan takes, and how many experiments a trial trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from adcore.cpus import allotted_cpus
from adcore.device import cuda_devices
from adcore.errors import UserError
from adcore.probe import Probe, known_probe, probe

if TYPE_CHECKING:
    from adcore.config import TrainConfig
    from sweeps.engine.cluster import Resources
    from sweeps.engine.plan import Plan
    from sweeps.engine.settings import SweepSettings

__all__ = ["members_per_trial", "planned_time"]

#: Training speed at width 8 and batch 64, images per second of one CPU core: benchmarks/throughput.py on 2 cores.
CPU_SPEED_AT_WIDTH_8 = 1300
#: Minutes of a sweep beside its training: start-up, tracking and report.
BESIDE = 1.5


def planned_time(plan: Plan, settings: SweepSettings, images: Mapping[TrainConfig, float]) -> str:
    """How long the trainings of a plan take at most, in words. images: by training, those that pass its networks."""
    if settings.probe and settings.address != "local":
        return _on_cluster(plan, settings, images)
    threads = settings.cpus_per_trial
    found = {own: probe(own, threads) if settings.probe else known_probe(own, threads) for own in images}
    probes = {own: each for own, each in found.items() if each}
    if settings.address == "local" and len(probes) == len(images):
        slots = cuda_devices() or max(1, allotted_cpus() // threads)
        return _in_words(plan, images, probes, min(slots, settings.max_concurrent or slots))
    if settings.address != "local" or cuda_devices():
        where = "this machine" if settings.address == "local" else "a worker of the cluster"
        return f"not known: --plan --probe measures {where}, in about ten seconds"
    cores = allotted_cpus()
    speeds = {own: CPU_SPEED_AT_WIDTH_8 * (8 / own.width) ** 1.2 * cores for own in images}
    minutes = sum(count / speeds[own] for own, count in images.items()) / 60 + BESIDE
    return (
        f"at most about {_duration(minutes)} on {cores} CPU cores, if each trains {CPU_SPEED_AT_WIDTH_8} images/s at "
        "width 8; --plan --probe measures it"
    )


def members_per_trial(plan: Plan, settings: SweepSettings, room: Resources) -> int:
    """Whole configurations where they fill the slots, else the largest groups of classes that still fill them.

    On a GPU no larger ones than fit its memory, by a probe on a worker.
    """
    count = len(plan.classes)
    if settings.members_per_trial != "auto":
        return int(settings.members_per_trial)
    most = count
    if room.gpus:
        try:
            probes = _probes_of_workers([plan.searched, plan.base], room).values()
            most = min(count, *(each.fits(min(1.0, room.gpus)) for each in probes))
        except UserError as error:  # an estimate: training halves a pack that does not fit
            click.echo(f"the GPU could not be probed ({error}); each trial trains all classes", err=True)
    divisors = [size for size in range(most, 0, -1) if count % size == 0]
    return next((size for size in divisors if plan.configs * (count // size) >= room.slots), 1)


def _on_cluster(plan: Plan, settings: SweepSettings, images: Mapping[TrainConfig, float]) -> str:
    from sweeps.engine.cluster import check_address, prepare_environment, ray_cluster, resources

    check_address(settings)
    prepare_environment(settings)
    with ray_cluster(settings):
        room = resources(settings)
        return _in_words(plan, images, _probes_of_workers(list(images), room), room.slots)


def _probes_of_workers(configs: list[TrainConfig], room: Resources) -> dict[TrainConfig, Probe]:
    from sweeps.engine.workers import on_workers

    calls: dict[TrainConfig, tuple[Any, ...]] = {own: (own, room.shares) for own in configs}
    return dict(on_workers(_probe_on_worker, calls, room))


def _probe_on_worker(config: TrainConfig, shares: dict[str, Any]) -> Probe:
    from sweeps.engine.trial import use_no_more

    use_no_more(**shares)
    return probe(config, shares["threads"])


def _in_words(plan: Plan, images: Mapping[TrainConfig, float], probes: Mapping[TrainConfig, Probe], slots: int) -> str:
    minutes, device = BESIDE, next(iter(probes.values())).device
    for own, count in images.items():
        minutes += count / (probes[own].speed(len(plan.classes)) * slots) / 60
    speeds = ", ".join(f"{probes[own].speed(len(plan.classes)):,.0f}" for own in images)
    return f"at most about {_duration(minutes)}, {slots} trials at a time, each {speeds} images/s ({device}, measured)"


def _duration(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes < 180 else f"{minutes / 60:.0f} hours"
