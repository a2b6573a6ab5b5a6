"""A sweep from its command line to its exit code: everything is checked first, then one driver trains."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from adcore.command_line import dataclass_flags, run
from adcore.datasets.own import forget
from adcore.errors import UserError
from adcore.files import check_writable
from sweeps.engine.machine.cluster import check_address, check_docstrings, cluster_has_gpus
from sweeps.engine.machine.code import check_one_root, current_code
from sweeps.engine.machine.data import load_data, require_same_data
from sweeps.engine.machine.environment import prepare_environment
from sweeps.engine.machine.interrupt import NOT_BEGUN, Interrupt, interruptible
from sweeps.engine.machine.job import check_job
from sweeps.engine.machine.locations import with_absolute_paths
from sweeps.engine.machine.system_metrics import without_missing_metrics
from sweeps.engine.planning.base_plan import BasePlan, Data
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.facts import FACTS, facts_of
from sweeps.engine.record.find_home import find_home
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.lock import check_free, one_driver
from sweeps.engine.record.resume import EXTENDED, read_attribute, require_same_plan, stored_settings
from sweeps.engine.remote.flags import fetch_missing_record, split_address, store_of
from sweeps.engine.storage.network_disk import network_disk_line
from sweeps.engine.tracking.checks import check_outboxes, check_tracking

if TYPE_CHECKING:
    from sweeps.engine.session import Session
    from sweeps.engine.stage_runner import StageRunner

__all__ = ["Script", "launch", "sweep"]

Settings = TypeVar("Settings", bound=RunSettings)
Plan = TypeVar("Plan", bound=BasePlan)


@dataclasses.dataclass(frozen=True)
class Script(Generic[Settings, Plan]):
    """A script's part of a sweep.

    name: of its file in sweeps/. settings: its flags. make_plan: raises UserError for flags that contradict each other.
    in_words: the text of --plan; takes the sweep's folder, too, and whether it is extended.
    make_stages: what trains; called last, once Ray runs.
    """

    name: str
    settings: type[Settings]
    make_plan: Callable[[Settings, SweepHome], Plan]
    in_words: Callable[[Plan, Settings, SweepHome, bool], str]
    make_stages: Callable[[Plan, Settings, Session, Data], StageRunner]


def launch(script: Script[Any, Any], text: str, argv: Sequence[str] | None = None) -> None:
    """Parse argv and run the sweep. Exits with 0 if it is complete, 1 with failed trials, 2 for bad input."""

    def body(**flags: Any) -> int:
        with interruptible() as interrupt:
            try:
                return sweep(script, flags, interrupt)
            except KeyboardInterrupt:
                click.echo(NOT_BEGUN)
                raise

    run(f"sweeps/{script.name}.py", text, dataclass_flags(script.settings), body, argv, on_record=True)


def sweep(script: Script[Any, Any], flags: dict[str, Any], interrupt: Interrupt) -> int:
    """Run or resume a sweep; returns the exit code. flags: those given, by name. Raises UserError for bad input."""
    started = time.monotonic()
    check_one_root()
    check_docstrings()
    forget()  # a notebook lives on while its data change
    flags = split_address(flags)
    settings = script.settings(**flags)
    check_job(settings, script.name, is_complete=not settings.resume)
    fetch_missing_record(settings)
    home = find_home(script.name, settings)
    if settings.continued_sweep:
        settings = stored_settings(script.name, script.settings, home, flags)
        check_job(settings, script.name)
    elif settings.scale is None and settings.address != "local":  # the GPUs of this machine say nothing
        scale = settings.default_scale(has_gpus=settings.asks_for_gpus or cluster_has_gpus(settings))
        settings = dataclasses.replace(settings, scale=scale)
        interrupt.listen()
    if flags.get("wait_for") and settings.address == "local":
        raise UserError(f"--wait-for {settings.wait_for}: a local Ray does not grow; expected an --address")
    plan = script.make_plan(settings, home)
    require_same_plan(home, plan, except_for=EXTENDED if "extend" in flags else ())
    if settings.plan:
        click.echo(script.in_words(plan, settings, home, "extend" in flags))
        return 0
    check_free(home)
    settings = with_absolute_paths(settings)
    if settings.resume:
        settings = without_missing_metrics(settings, flags)
    check_writable(home.folder, f"--storage {settings.storage!r}")
    if line := network_disk_line(home.folder.parent):
        click.echo(line, err=True)
    home.store = store_of(settings, home)
    check_tracking(settings, script.name, is_named="tracking_uri" in flags)
    check_address(settings)
    check_outboxes(home)
    with interrupt.deferred():
        import_module("adcore.protocols.held_out")  # which loads torch
    data, hashes = load_data(plan.dataset_names, plan.parts, settings, plan.image_size, plan.protocol)
    if settings.resume:
        require_same_data(read_attribute(home, "data", None), hashes, home.name)
    plan.check_data(data)
    prepare_environment(settings)
    current_code()  # noted now, when most of it has been loaded
    with interrupt.deferred():
        from sweeps.engine.driver import drive

    attributes = {**plan.resolved_settings(settings), "data": hashes, FACTS: facts_of(data)}
    with one_driver(home, is_new=not settings.resume):
        return drive(
            plan, settings, home, attributes, interrupt,
            lambda session: script.make_stages(plan, settings, session, data),
            started=started, is_extended="extend" in flags,
        )  # fmt: skip
