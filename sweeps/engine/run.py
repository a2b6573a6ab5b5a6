"""run_program: a Ray, the record, MLflow's writer and the stages, brought together and taken apart in good order."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from sweeps.engine.closing import close, say_how_to_go_on
from sweeps.engine.live.display import Display
from sweeps.engine.machine.cluster import Resources, ray_cluster, resources
from sweeps.engine.machine.commands import resume_command
from sweeps.engine.machine.data import Hashes
from sweeps.engine.machine.interrupt import Interrupt
from sweeps.engine.machine.nodes import require_same_code
from sweeps.engine.machine.storage import StorageError
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.program import AnyPlan, Program
from sweeps.engine.record.study import open_study
from sweeps.engine.record.sweep_files import open_outbox, open_record
from sweeps.engine.stage_runner import INTERRUPTED, StageRunner
from sweeps.engine.tracking.outbox import Outbox
from sweeps.engine.tracking.runs import require_known_runs
from sweeps.engine.tracking.store import connect
from sweeps.engine.tracking.writer import MlflowWriter

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
    hashes: Hashes,
    interrupt: Interrupt,
) -> int:
    """Run or resume the sweep in folder `home`; returns the exit code: 0 whole, 1 with failed trials, 130 interrupted.

    data: by data set and part; hashes: of their content. Raises UserError if Ray or MLflow cannot be had, or Ray has
    too little for a trial.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    code = None
    with contextlib.suppress(KeyboardInterrupt), ray_cluster(settings):
        interrupt.listen()
        interrupt.check()
        require_same_code()
        code = _run(program, plan, settings, home, data, hashes, interrupt)
    if code is None and (home / "study.db").exists():
        print(f"interrupted; go on with:\n  {resume_command(program.script, settings, home.name)}")
    return INTERRUPTED if code is None else code


def _check_mlflow(settings: RunSettings, experiment: str, home: Path) -> None:
    """Raises UserError if MLflow cannot be used, or lacks the sweep's runs; a resumed sweep can wait for its server."""
    uri = settings.tracking_uri
    try:
        if (home / "study.db").exists():
            study = open_study(home / "study.db", create=False)
            with contextlib.closing(open_outbox(home, study)) as outbox:
                require_known_runs(uri, experiment, study.user_attrs["sweep_id"], outbox)
        else:
            connect(uri, experiment)
    except (UserError, StorageError):
        raise
    except Exception as error:  # MLflow, requests, SQLAlchemy and sqlite3 each have their own
        line = f"--tracking-uri {uri}: {' '.join(str(error).split()) or type(error).__name__}"
        if not settings.resume or not uri.startswith("http"):
            raise UserError(line) from error
        print(f"{line}; going on without it: what it is to be told waits on disk", file=sys.stderr)


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
        _check_mlflow(settings, plan.script, home)
        facts = {**program.facts(plan, settings), "data": hashes}
        study = open_record(home, plan, facts)
        sweep_id, outbox = study.user_attrs["sweep_id"], open_outbox(home, study)
        run = Run(study, home, command, room, interrupt, outbox, display)
        stages = program.stages(plan, settings, run, data)
    except StorageError as error:
        print(f"the sweep cannot begin: {error}", file=sys.stderr)
        return 1
    writer = MlflowWriter(settings.tracking_uri, plan.script, sweep_id, outbox)
    try:
        code = _run_stages(stages)
    finally:
        close(writer, stages)
    say_how_to_go_on(stages, writer, code)
    return code


def _run_stages(stages: StageRunner) -> int:
    try:
        stages.display.print(f"sweep {stages.home.name}: {stages.summary_line}; record in {stages.home}")
        stages.interrupt.check()
        code = stages.run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except StorageError as error:
        stages.on_storage_error(error)
        code = stages.report_failure(f"its files cannot be written: {error}")
    except UserError as error:  # what was right at the start is so no more, as a model or a data file that is gone
        with contextlib.suppress(StorageError):
            stages.tracking.close_sweep("failed", {}, [])
        code = stages.report_failure(str(error))
        stages.display.print(f"when that is mended, go on with:\n  {stages.command}")
    if code == INTERRUPTED:
        with contextlib.suppress(StorageError):  # MLflow shows it as running until it is resumed
            stages.tracking.interrupt()
    return code
