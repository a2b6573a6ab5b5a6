"""run_program: a Ray, the record, MLflow's writer and the stages, brought together and taken apart in good order."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shlex
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console

from adcore.datasets import ImageDataset
from adcore.files import put_in_place
from sweeps.engine.cluster import Resources, ray_cluster, resources
from sweeps.engine.display import Display
from sweeps.engine.interrupt import Interrupt, interruptible
from sweeps.engine.mlflow_outbox import Outbox
from sweeps.engine.mlflow_writer import MlflowWriter
from sweeps.engine.program import AnyPlan, Program
from sweeps.engine.record import open_study
from sweeps.engine.run_settings import RunSettings
from sweeps.engine.runner import INTERRUPTED, StageRunner
from sweeps.engine.storage_error import StorageError, storage
from sweeps.engine.trial import check_checkpoints

__all__ = ["Run", "run_program"]

#: Columns of a table in a file or a pipe, which has no width of its own.
FILE_WIDTH = 140


@dataclasses.dataclass(frozen=True)
class Run:
    """What a running sweep works with. study: its record, in `home`; command: what resumes it."""

    study: optuna.Study
    home: Path
    command: str
    room: Resources
    interrupt: Interrupt
    outbox: Outbox
    display: Display


def run_program(
    program: Program[Any],
    plan: AnyPlan,
    settings: RunSettings,
    home: Path,
    data: Mapping[tuple[str, str], ImageDataset],
) -> int:
    """Run or resume the sweep in folder `home`; returns the exit code: 0 whole, 1 with failed trials, 130 interrupted.

    data: by data set and part. Raises UserError if Ray cannot be had or has too little for a trial.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        with interruptible() as interrupt, ray_cluster(settings):
            interrupt.listen()
            return _run(program, plan, settings, home, data, interrupt)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(
    program: Program[Any],
    plan: AnyPlan,
    settings: RunSettings,
    home: Path,
    data: Mapping[tuple[str, str], ImageDataset],
    interrupt: Interrupt,
) -> int:
    room, display, command = (
        resources(settings),
        Display(Console(width=None if sys.stdout.isatty() else FILE_WIDTH)),
        resume_command(program.script, settings, home.name),
    )
    try:
        study = _open_record(home / "study.db", plan, program.facts(plan, settings, room.slots))
        sweep_id = study.user_attrs["sweep_id"]
        outbox = Outbox(home / f"mlflow-outbox-{sweep_id[:8]}.db")
        run = Run(study, home, command, room, interrupt, outbox, display)
        stages = program.stages(plan, settings, run, data)
    except StorageError as error:
        print(f"the sweep cannot begin: {error}", file=sys.stderr)
        return 1
    writer = MlflowWriter(settings.tracking_uri, plan.script, sweep_id, outbox)
    try:
        code = _run_stages(stages, writer)
    finally:
        display.end()
        is_delivered = True
        with contextlib.suppress(KeyboardInterrupt):  # after a second Ctrl-C nothing more is waited for
            is_delivered = interrupt.count > 1 or writer.close()
    if not is_delivered:  # no failure of the sweep: it can still be delivered
        print(f"MLflow at {settings.tracking_uri} did not take everything: {writer.reason}", file=sys.stderr)
        print(f"{len(outbox)} updates wait in {outbox.path}; deliver them with: {command}", file=sys.stderr)
    if code == INTERRUPTED:
        display.print(f"interrupted; go on with:\n  {command}")
    elif stages.broken:
        display.print(f"when it can be written again, go on with:\n  {command}")
    return code


def _run_stages(stages: StageRunner, writer: MlflowWriter) -> int:
    try:
        writer.require_usable_database()
        stages.display.print(f"sweep {stages.home.name}: {stages.summary_line}; record in {stages.home}")
        code = stages.run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except StorageError as error:
        stages.on_storage_error(error)
        code = stages.report_failure(f"its files cannot be written: {error}")
    if code == INTERRUPTED:
        with contextlib.suppress(StorageError):  # MLflow shows it as running until it is resumed
            stages.tracking.interrupt()
    return code


def resume_command(script: str, settings: RunSettings, name: str) -> str:
    """The command that goes on with this sweep."""
    words = ["python", f"sweeps/{script}.py", "--resume", name]
    for field in dataclasses.fields(settings):
        given = getattr(settings, field.name)
        if field.name in ("storage", "tracking_uri", "address", "data_dir") and given != field.default:
            words += [f"--{field.name.replace('_', '-')}", str(given)]
    return shlex.join(words)


def _open_record(path: Path, plan: AnyPlan, facts: dict[str, Any]) -> optuna.Study:
    """The sweep's record, made if it is not there. Raises UserError for a checkpoint of it that is damaged."""
    if path.exists():
        check_checkpoints(path.parent)
    else:
        with storage(path):
            _make_study(path, {"sweep_id": uuid.uuid4().hex, "plan": plan.as_record(), **facts})
    return open_study(path, create=False)


def _make_study(path: Path, facts: dict[str, Any]) -> None:
    """A study with all that a resume needs, under another name first: it is there whole, or not at all."""
    part = path.with_name(".study.db.part")
    part.unlink(missing_ok=True)
    study = open_study(part, create=True)
    for name, value in facts.items():
        study.set_user_attr(name, value)
    study._storage.remove_session()
    put_in_place(part, path)
