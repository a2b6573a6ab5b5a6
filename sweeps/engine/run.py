"""run_program: a Ray, the record, MLflow's writer and the stages, brought together and taken apart in good order."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from rich.console import Console

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.files import put_in_place
from sweeps.engine.cluster import Resources, ray_cluster, resources
from sweeps.engine.code import Code, current_code
from sweeps.engine.commands import resume_command
from sweeps.engine.data import Hashes
from sweeps.engine.display import Display
from sweeps.engine.interrupt import Interrupt, interruptible
from sweeps.engine.mlflow_outbox import Outbox
from sweeps.engine.mlflow_runs import require_known_runs
from sweeps.engine.mlflow_store import connect
from sweeps.engine.mlflow_writer import MlflowWriter
from sweeps.engine.nodes import require_same_code
from sweeps.engine.program import AnyPlan, Program
from sweeps.engine.record import open_study
from sweeps.engine.run_settings import RunSettings
from sweeps.engine.runner import INTERRUPTED, StageRunner
from sweeps.engine.storage_error import StorageError, storage
from sweeps.engine.trial import check_checkpoints

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = ["Run", "note_code", "run_program"]

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
    hashes: Hashes,
) -> int:
    """Run or resume the sweep in folder `home`; returns the exit code: 0 whole, 1 with failed trials, 130 interrupted.

    data: by data set and part; hashes: of their content. Raises UserError if Ray or MLflow cannot be had, or Ray has
    too little for a trial.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        with interruptible() as interrupt, ray_cluster(settings):
            interrupt.listen()
            require_same_code()
            return _run(program, plan, settings, home, data, hashes, interrupt)
    except KeyboardInterrupt:
        return INTERRUPTED


def _mlflow(settings: RunSettings, experiment: str) -> tuple[MlflowClient, str] | None:
    """MLflow's client and the experiment; None if a resumed sweep can do without its server for now.

    Raises UserError.
    """
    try:
        return connect(settings.tracking_uri, experiment)
    except UserError:
        raise
    except Exception as error:  # MLflow, requests, SQLAlchemy and sqlite3 each have their own
        line = f"--tracking-uri {settings.tracking_uri}: {' '.join(str(error).split()) or type(error).__name__}"
        if not settings.resume or not settings.tracking_uri.startswith("http"):
            raise UserError(line) from error
        print(f"{line}; going on without it: what it is to be told waits on disk", file=sys.stderr)
        return None


def _run(
    program: Program[Any],
    plan: AnyPlan,
    settings: RunSettings,
    home: Path,
    data: Mapping[tuple[str, str], ImageDataset],
    hashes: Hashes,
    interrupt: Interrupt,
) -> int:
    room, display, command = (
        resources(settings),
        Display(Console(width=None if sys.stdout.isatty() else FILE_WIDTH)),
        resume_command(program.script, settings, home.name),
    )
    try:
        mlflow = _mlflow(settings, plan.script)
        facts = {**program.facts(plan, settings, room.slots), "data": hashes, "code": [current_code()]}
        study = _open_record(home / "study.db", plan, facts)
        sweep_id = study.user_attrs["sweep_id"]
        outbox = Outbox(home / f"mlflow-outbox-{sweep_id[:8]}.db")
        if mlflow:
            require_known_runs(*mlflow, sweep_id, outbox, settings.tracking_uri)
        note_code(study)
        run = Run(study, home, command, room, interrupt, outbox, display)
        stages = program.stages(plan, settings, run, data)
    except StorageError as error:
        print(f"the sweep cannot begin: {error}", file=sys.stderr)
        return 1
    writer = MlflowWriter(settings.tracking_uri, plan.script, sweep_id, outbox)
    try:
        code = _run_stages(stages)
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


def _run_stages(stages: StageRunner) -> int:
    try:
        stages.display.print(f"sweep {stages.home.name}: {stages.summary_line}; record in {stages.home}")
        code = stages.run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except StorageError as error:
        stages.on_storage_error(error)
        code = stages.report_failure(f"its files cannot be written: {error}")
    except UserError as error:  # what was right at the start is so no more, as a model or a data file that is gone
        stages.tracking.close_sweep("failed", {}, [])
        code = stages.report_failure(str(error))
        stages.display.print(f"when that is mended, go on with:\n  {stages.command}")
    if code == INTERRUPTED:
        with contextlib.suppress(StorageError):  # MLflow shows it as running until it is resumed
            stages.tracking.interrupt()
    return code


def note_code(study: optuna.Study) -> None:
    """On a record that other code has begun, or gone on with, note this one as well, and say so."""
    known = [Code(*each) for each in study.user_attrs.get("code", [])]
    now = current_code()
    if any(each.sources == now.sources for each in known[-1:]):
        return
    before = known[-1] if known else "a version that did not note it"
    print(f"this sweep was run by other code before ({before}; now {now}): its results are of both", file=sys.stderr)
    study.set_user_attr("code", [*known, now])


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
