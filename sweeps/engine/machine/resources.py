"""Resources: a trial's share of the cluster, and how many trials fit at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from adcore.errors import UserError
from adcore.system.device import has_cuda_device
from sweeps.engine.machine.nodes import alive_nodes
from sweeps.engine.planning.run_settings import RunSettings

__all__ = ["THIS_PROCESS", "Resources", "resources_of_cluster", "resources_of_nodes", "slots_on"]


@dataclasses.dataclass(frozen=True)
class Resources:
    """A trial's share of the cluster, and how many trials fit at a time.

    uses_workers: whether work beside training runs on Ray's workers; else in this process, which has their devices.
    """

    cpus: int
    gpus: float
    slots: int
    uses_workers: bool = True

    @property
    def shares(self) -> dict[str, Any]:
        """The limits that a trial has to keep to."""
        return {"threads": self.cpus, "gpus": self.gpus}

    @property
    def shares_beside_training(self) -> dict[str, Any]:
        """The same for a call of `on_workers`: this process takes the CPUs of all trials, of which none is running."""
        return {"threads": self.cpus if self.uses_workers else self.cpus * self.slots, "gpus": self.gpus}

    @property
    def bundle(self) -> dict[str, float]:
        """The share under Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus else {"CPU": self.cpus}

    def with_slots(self, slots: int) -> Resources:
        """The same share for so many trials at a time."""
        return dataclasses.replace(self, slots=slots)

    def as_request(self) -> dict[str, float]:
        """For tune.with_resources."""
        return {"cpu": self.cpus, "gpu": self.gpus} if self.gpus else {"cpu": self.cpus}


#: This process, for work beside training.
THIS_PROCESS = Resources(cpus=1, gpus=0, slots=1, uses_workers=False)


def resources_of_cluster(settings: RunSettings) -> Resources:
    """Resources of a trial on the joined cluster; says so if GPUs that join later would not be used.

    Raises UserError if no node can hold a trial.
    """
    nodes = [node["Resources"] for node in alive_nodes()]
    resources = resources_of_nodes(nodes, settings)
    if settings.address != "local" and settings.gpus_per_trial is None and not resources.gpus:
        click.echo(
            "no node of the cluster has a GPU: the trials train on CPUs, also when one joins later; to train on GPUs "
            "that are yet to come, give --gpus-per-trial 1",
            err=True,
        )
    return resources


def resources_of_nodes(nodes: Sequence[Mapping[str, float]], settings: RunSettings) -> Resources:
    """Resources of a trial on nodes with these numbers of "CPU" and "GPU". Raises UserError if none can hold one."""
    has_gpus = any(node.get("GPU", 0) for node in nodes)
    gpus = settings.gpus_per_trial if settings.gpus_per_trial is not None else float(has_gpus)
    if settings.address != "local" and settings.gpus_per_trial is None and settings.is_for_gpus and not has_gpus:
        raise UserError(
            f"--scale {settings.scale}: no node of the cluster has a GPU yet; start nodes with GPUs first, have them "
            "started or waited for with --wait-for 1gpus, or train on CPUs with --gpus-per-trial 0"
        )
    if gpus > 1 and gpus != int(gpus):
        raise UserError(f"--gpus-per-trial {gpus:g}: expected a share below 1 or a whole number")
    for flag, kind, wanted in (("cpus", "CPU", settings.cpus_per_trial), ("gpus", "GPU", gpus)):
        largest = max(node.get(kind, 0) for node in nodes)
        if wanted > largest:
            total = sum(node.get(kind, 0) for node in nodes)
            raise UserError(
                f"--{flag}-per-trial {wanted:g}: the largest node has {_amount(largest, kind)} "
                f"(cluster: {_amount(len(nodes), 'node')}, {_amount(total, kind)})"
            )
    slots = slots_on(nodes, settings.cpus_per_trial, gpus)
    if not slots:
        shown = "; ".join(", ".join(_amount(node.get(kind, 0), kind) for kind in ("CPU", "GPU")) for node in nodes)
        raise UserError(
            f"--cpus-per-trial {settings.cpus_per_trial} with --gpus-per-trial {gpus:g}: no node has both ({shown})"
        )
    workers = settings.address != "local" or has_cuda_device()
    return Resources(settings.cpus_per_trial, gpus, min(slots, settings.max_concurrent or slots), workers)


def _amount(number: float, kind: str) -> str:
    return f"{number:g} {kind}{'' if number == 1 else 's'}"


def slots_on(nodes: Sequence[Mapping[str, float]], cpus: int, gpus: float) -> int:
    """How many trials with such a share fit on nodes with these numbers of "CPU" and "GPU" at a time."""
    return sum(_slots_on_node(node, cpus, gpus) for node in nodes)


def _slots_on_node(node: Mapping[str, float], cpus: int, gpus: float) -> int:
    by_cpu = int(node.get("CPU", 0) // cpus)
    if not gpus:
        return by_cpu
    by_gpu = math.floor(1 / gpus) * int(node.get("GPU", 0)) if gpus <= 1 else int(node.get("GPU", 0) // gpus)
    return min(by_cpu, by_gpu)
