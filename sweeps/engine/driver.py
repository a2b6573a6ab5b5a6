"""The driver: starts Ray, the record, MLflow's writer and the stages, and ends them cleanly."""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from adcore.errors import UserError
from adcore.system.output import PLAIN
from sweeps.engine.live.display import Display
from sweeps.engine.machine.cluster import ray_cluster
from sweeps.engine.machine.code import code_has_changed, require_same_code
from sweeps.engine.machine.commands import repeat_command, resume_command
from sweeps.engine.machine.interrupt import NOT_BEGUN, Interrupt
from sweeps.engine.machine.locations import SQLITE
from sweeps.engine.machine.resources import resources_of_cluster
from sweeps.engine.machine.shared_storage import require_shared, storage_token
from sweeps.engine.machine.waiting import await_nodes
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.planning.labels import count_of
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.record.extend import extend_record
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.study import open_record
from sweeps.engine.remote.copies import RecordCopies
from sweeps.engine.remote.flags import shared_folder
from sweeps.engine.session import Session
from sweeps.engine.stage_runner import INTERRUPTED, StageRunner
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.tracking.checks import check_mlflow
from sweeps.engine.tracking.outbox import Outbox
from sweeps.engine.tracking.view import curves_link
from sweeps.engine.tracking.writer import MOST, PATIENCE, MlflowWriter

__all__ = ["close", "drive", "driver_console", "print_how_to_continue"]

#: Width in columns of output to a file or a pipe.
FILE_WIDTH = 140
#: Makes the stages of a session.
MakeStages = Callable[[Session], StageRunner]


def drive(
    plan: BasePlan,
    settings: RunSettings,
    home: SweepHome,
    attributes: dict[str, Any],
    interrupt: Interrupt,
    make_stages: MakeStages,
    *,
    started: float,
    is_extended: bool = False,
) -> int:
    """Start or resume the sweep in `home`; returns the exit code: 0 complete, 1 with failed trials, 130 interrupted.

    attributes: what a new record holds besides the plan. started: when the command began, by time.monotonic(); a time
    limit does not count the wait for nodes.
    is_extended: the plan has more configurations than the record, which is given that plan first. Raises UserError if
    Ray or MLflow cannot be used, or Ray has too few resources for a trial.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    command = resume_command(plan.script, settings, home.name)
    again = repeat_command(plan.script, settings, home.name, is_extended=is_extended)
    display = Display(driver_console())
    code = None  # a signal that comes while Ray shuts down changes nothing
    with contextlib.suppress(KeyboardInterrupt), ray_cluster(settings), contextlib.ExitStack() as files:
        interrupt.listen()
        interrupt.check()
        started += await_nodes(settings)
        if settings.address != "local":
            require_same_code()
        elif code_has_changed():  # its workers run the copy that was made as Ray started: no need to ask one
            raise UserError("source files changed while the sweep started; start it again")
        resources = resources_of_cluster(settings)
        if settings.address != "local" and (folder := shared_folder(home)):
            flag = "--checkpoints" if home.store else "--storage"
            home.token = files.enter_context(storage_token(folder, home.name, flag))
            require_shared(home.token, flag)
        limit = settings.limit_seconds(resources.slots, resources.gpus)
        try:
            check_mlflow(settings, plan.script, home)
            if is_extended:
                extend_record(home.record, plan)
                again = repeat_command(plan.script, settings, home.name, is_extended=False)
            study = open_record(home, plan, attributes)
            again = command
            sweep_id = study.user_attrs["sweep_id"]
            outbox = Outbox(home.outbox(sweep_id))
            copies = None
            if home.store:
                copies = RecordCopies(home, Attributes(study, home.record), home.store)
                files.callback(copies.stop)
                copies.begin()
            session = Session(study, home, command, resources, interrupt, outbox, display, started, limit, copies)
            stages = make_stages(session)
        except StorageError as error:
            print(f"the sweep cannot start: {error}", file=sys.stderr)
            code = 1
        else:
            until = (lambda: copies.copied_update) if copies else (lambda: None)
            code = _run_and_deliver(
                stages, MlflowWriter(settings.tracking_uri, plan.script, sweep_id, outbox, until=until)
            )
    if code is None:
        print(f"interrupted; continue with:\n  {again}" if home.has_record else NOT_BEGUN)
    return INTERRUPTED if code is None else code


def driver_console() -> Console:
    """The console to print to. A notebook gets lines, as a file does: its bars would need ipywidgets."""
    if Console().is_jupyter:
        return Console(width=FILE_WIDTH, force_jupyter=False, force_terminal=False, **PLAIN)
    return Console(width=None if sys.stdout.isatty() else FILE_WIDTH, **PLAIN)


def _run_and_deliver(stages: StageRunner, writer: MlflowWriter) -> int:
    try:
        code = _run(stages)
        with contextlib.suppress(KeyboardInterrupt):  # it is over, whatever comes now
            stages.note_end(code)
            _copy_record(stages, RecordCopies.copy_now)  # MLflow gets what is in a copy
    finally:
        close(writer, stages)
        stages.deleting.shutdown(cancel_futures=stages.storage_error is not None)
    if reason := _copy_record(stages, RecordCopies.end):
        print(f"the last copy of the record is older than the record: {reason}", file=sys.stderr)
        code = code or 1
    if code != INTERRUPTED and stages.tracking.plan.columns and (link := writer.link(stages.home.name)):
        when = "  (while `browse` runs)" if writer.uri.startswith(SQLITE) else ""
        stages.display.print(f"open:    {link}{when}")
        if stages.winner:
            curves = curves_link(writer.uri, writer.experiment_id, writer.run_writer.sweep_id, *stages.winner)
            stages.display.print(f"curves:  {curves}")
    print_how_to_continue(stages, writer, code)
    return code


def _run(stages: StageRunner) -> int:
    try:
        stages.display.print(f"sweep {stages.home.name}: {stages.summary_line}; record in {stages.home.folder}")
        stages.interrupt.check()
        stages.note_begin()
        code = stages.run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except StorageError as error:
        stages.on_storage_error(error)
        code = stages.report_failure(f"its files cannot be written: {error}")
    except UserError as error:  # something has changed since the checks, such as a model or a data file that is gone
        with contextlib.suppress(StorageError):
            stages.tracking.close_sweep("failed", {}, [])
        code = stages.report_failure(str(error))
        stages.display.print(f"when that is fixed, continue with:\n  {stages.command}")
    if code == INTERRUPTED:
        with contextlib.suppress(StorageError):  # else MLflow shows it as running until it is resumed
            stages.tracking.interrupt()
    return code


def _copy_record(stages: StageRunner, copy: Callable[[RecordCopies], None]) -> str:
    """Copy the record to its store, if there is one; returns why that failed, or ""."""
    if stages.copies and not (stages.is_gone or stages.copies.takeover_error or stages.interrupt.count > 1):
        try:
            with contextlib.suppress(KeyboardInterrupt):
                copy(stages.copies)
        except StorageError as error:
            return str(error)
    return ""


def close(writer: MlflowWriter, stages: StageRunner) -> None:
    """Deliver what is left to MLflow, unless a signal cuts that short; do not wait after a second Ctrl-C.

    A sweep that was told to stop waits less: SLURM gives it five minutes for all that it saves.
    """
    with contextlib.suppress(KeyboardInterrupt):
        stages.display.end()
        if stages.is_gone:
            writer.abandon()
        elif stages.interrupt.count < 2:
            writer.close(most=PATIENCE if stages.interrupt.requested else MOST)


def print_how_to_continue(stages: StageRunner, writer: MlflowWriter, code: int) -> None:
    """Print how to continue; every printed command works in the current state. code: the sweep's exit code."""
    if stages.is_gone:
        print(f"its record is gone from {stages.home.folder}: it cannot be resumed; start a new sweep", file=sys.stderr)
        return
    command = stages.command if writer.is_done else _report_waiting(writer, stages.command)
    if code == INTERRUPTED:
        stages.display.print(f"interrupted; continue with:\n  {command}")
    elif stages.storage_error:
        stages.display.print(f"when its files can be written again, continue with:\n  {command}")
    if code_has_changed():
        print("source files changed during the sweep: modules that the driver loaded late are new", file=sys.stderr)


def _report_waiting(writer: MlflowWriter, command: str) -> str:
    """Report updates that MLflow has not taken yet; returns the command that continues."""
    print(f"MLflow at {writer.uri} did not take every update: {writer.reason}", file=sys.stderr)
    queue = writer.outbox.path
    try:
        count, lacks_runs = len(writer.outbox), writer.lacks_runs
    except StorageError:  # already reported
        return command
    waiting = f"{count_of(count, 'update')} {'waits' if count == 1 else 'wait'} in {queue}"
    if not lacks_runs:
        print(f"{waiting}; to deliver: {command}", file=sys.stderr)
        return command
    command = f"mv {shlex.quote(str(queue))} {shlex.quote(f'{queue}.away')} && {command}"  # else it would be refused
    print(f"{waiting} until its runs are back; continue without them with: {command}", file=sys.stderr)
    return command
