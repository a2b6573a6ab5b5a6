"""RunSettings: the flags of every script: where a sweep runs, its name, and where its files are kept."""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

from adcore.errors import UserError
from adcore.files import check_local
from adcore.options import check_options, option
from sweeps.engine.planning.labels import count_of

__all__ = ["RunSettings", "check_sweep_name"]


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Flags that say where a sweep runs. Raises UserError with field, value and legal range of a bad one.

    changeable: what may differ when a sweep is resumed: where it runs and where its files are, not what it computes.
    """

    changeable: ClassVar[tuple[str, ...]] = (
        "resume", "name", "plan", "storage", "checkpoints", "tracking_uri", "data_dir", "address",
        "gpus_per_trial", "cpus_per_trial", "max_concurrent", "wait_for", "wait_minutes", "report_timeout",
        "system_metrics",
    )  # fmt: skip

    data_dir: str | None = option(None, "folder with the data set's files; no other place is searched")
    allow_unverified_data: bool = option(False, "accept files in --data-dir with another checksum")
    name: str | None = option(None, "name of the sweep [default: script and time]")
    storage: str = option(
        "runs", "folder for the sweeps' records and checkpoints; without --checkpoints, all nodes of a cluster share it"
    )
    checkpoints: str | None = option(
        None, "where trials keep checkpoints, and the record is copied to: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or a "
        "folder [default: --storage]"
    )  # fmt: skip
    resume: str | None = option(
        None, "resume the sweep with this name, with its own settings; s3://BUCKET/PREFIX/NAME on another machine"
    )
    tracking_uri: str = option("sqlite:///mlflow.db", "MLflow database or server (http://HOST:PORT)")
    address: str = option("local", "Ray cluster: local, auto or HOST:PORT")
    gpus_per_trial: float | None = option(None, "GPUs per trial [default: 1 if there are GPUs]", at_least=0)
    cpus_per_trial: int = option(1, "CPUs and threads per trial", at_least=1)
    max_concurrent: int | None = option(None, "trials at a time [default: as many as fit]", at_least=1)
    wait_for: str | None = option(
        None, "with --address: begin once the cluster has so much, such as 16gpus, 8cpus or 3nodes that hold a trial",
        form="NUMBERgpus|cpus|nodes",
    )  # fmt: skip
    wait_minutes: float = option(
        30.0, "with --address: how long to wait for nodes before the first trial, in minutes", above=0
    )
    report_timeout: float = option(
        30.0, "minutes without a report after which a trial is restarted from its checkpoint", above=0
    )
    system_metrics: bool = option(False, "log the use of the driver's CPUs, memory, disk, network and GPUs to MLflow")
    scale: str | None = option(None, "how much to compute")  # each script has scales of its own
    plan: bool = option(False, "print what would run and what it would cost, without running it")

    def checkpoints_of(self, name: str) -> str:
        """Where the checkpoints of the sweep with this name go, in words."""
        return f"{self.checkpoints.partition('?')[0]}/{name}" if self.checkpoints else "beside the record"

    @property
    def continued_sweep(self) -> str | None:
        """The name of the sweep that is gone on with; None for a new one."""
        return self.resume

    def limit_seconds(self, slots: int, gpus: float) -> float | None:
        """Seconds that the sweep may run, with so many trials at a time and GPUs each; None without a limit."""
        return None

    @property
    def awaited_resources(self) -> tuple[int, str] | None:
        """The number and the kind of what --wait-for asks for: "gpus", "cpus" or "nodes"; None if it is not given."""
        if self.wait_for is None:
            return None
        match = re.fullmatch(r"([1-9][0-9]{0,4})(gpu|cpu|node)s?", self.wait_for)
        if match is None:
            raise UserError(
                f"--wait-for {self.wait_for!r}: expected a number from 1 to 99999 and gpus, cpus or nodes, such as "
                "16gpus, 8cpus or 3nodes"
            )
        return int(match[1]), f"{match[2]}s"

    @property
    def wait_in_words(self) -> str:
        """What is waited for before the first trial; empty if nothing."""
        if self.address == "local" or self.awaited_resources is None:
            return ""
        count, unit = self.awaited_resources
        amount = count_of(count, {"gpus": "GPU", "cpus": "CPU", "nodes": "node"}[unit])
        return f"begins once it has {amount}; waits {self.wait_minutes:g} minutes at most"

    @property
    def asks_for_gpus(self) -> bool:
        """Whether trials will have GPUs, also where the cluster has none yet."""
        return bool(self.gpus_per_trial) or (self.awaited_resources or (0, ""))[1] == "gpus"

    @property
    def is_for_gpus(self) -> bool:
        """Whether the scale is out of reach without a GPU."""
        return False

    @staticmethod
    def default_scale(*, has_gpus: bool) -> str:
        """The scale for a machine or a cluster, if none is given."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        check_options(self)
        if not self.storage or "\n" in self.storage:
            raise UserError(f"--storage {self.storage!r}: expected a path without line breaks")
        check_local(self.storage, "--storage", "; give a folder here and the address to --checkpoints")
        _ = self.awaited_resources  # refused here if it cannot be read
        check_sweep_name(self.name)
        check_sweep_name(self.resume)
        if self.name and self.resume:
            raise UserError("--name and --resume cannot be combined: a resumed sweep keeps its name")


def check_sweep_name(name: str | None) -> None:
    """Raises UserError for a name that a folder cannot have."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise UserError(
            f"sweep name {name!r}: expected a letter or digit, then up to 99 of a-z, A-Z, 0-9, '.', '_' and '-', "
            "not a path"
        )
