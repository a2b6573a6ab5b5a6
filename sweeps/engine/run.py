"""run_sweep: a Ray, the record, MLflow's writer and the stages, brought together and taken apart in good order."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import uuid
from pathlib import Path
from typing import Any

from rich.console import Console

from adcore.datasets import ImageDataset
from adcore.files import put_in_place
from sweeps.engine.cluster import Resources, ray_cluster, resources
from sweeps.engine.display import Display
from sweeps.engine.interrupt import Interrupt, interruptible
from sweeps.engine.mlflow_outbox import Outbox
from sweeps.engine.mlflow_writer import MlflowWriter
from sweeps.engine.plan import Plan, classes_per_trial, groups_of
from sweeps.engine.record import SweepRecord, open_study
from sweeps.engine.report import resume_command
from sweeps.engine.settings import SweepSettings
from sweeps.engine.stages import INTERRUPTED, Stages
from sweeps.engine.storage_error import StorageError, storage
from sweeps.engine.trial import check_checkpoints

__all__ = ["run_sweep"]


def run_sweep(plan: Plan, settings: SweepSettings, home: Path, data: ImageDataset) -> int:
    """Run or resume the sweep in folder `home`; returns the exit code: 0 whole, 1 with failed trials, 130 interrupted.

    data: the train part. Raises UserError if Ray cannot be had or has too little for a trial.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        with interruptible() as interrupt, ray_cluster(settings):
            interrupt.listen()
            return _run(plan, settings, home, data, resources(settings), interrupt)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(
    plan: Plan, settings: SweepSettings, home: Path, data: ImageDataset, room: Resources, interrupt: Interrupt
) -> int:
    command = resume_command(plan, settings, home.name)
    try:
        record = _open_record(plan, settings, home, room.slots)
        sweep_id = record.read("sweep_id")
        outbox = Outbox(home / f"mlflow-outbox-{sweep_id[:8]}.db")
    except StorageError as error:
        print(f"the sweep cannot begin: {error}", file=sys.stderr)
        return 1
    writer, display = MlflowWriter(settings.tracking_uri, plan.script, sweep_id, outbox), Display(Console())
    stages = Stages(record, settings, home, data, room=room, interrupt=interrupt, outbox=outbox, display=display)
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


def _run_stages(stages: Stages, writer: MlflowWriter) -> int:
    try:
        writer.require_usable_database()
        _announce(stages.record, stages.home, stages.room, stages.display)
        code = stages.run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except StorageError as error:
        stages.record.broken = stages.record.broken or error
        code = stages.report_failure(f"its files cannot be written: {error}")
    if code == INTERRUPTED:
        with contextlib.suppress(StorageError):  # MLflow shows it as running until it is resumed
            stages.tracking.interrupt()
    return code


def _announce(record: SweepRecord, home: Path, room: Resources, display: Display) -> None:
    plan, groups = record.plan, len(record.groups)
    parts = "one trial" if groups == 1 else f"{groups} trials"
    display.print(
        f"sweep {home.name}: {plan.configs} configurations x {len(plan.classes)} classes of "
        f"{plan.base.dataset}, {parts} each, {room.slots} at a time; record in {home}"
    )


def _open_record(plan: Plan, settings: SweepSettings, home: Path, slots: int) -> SweepRecord:
    """The sweep's record, made if it is not there. Raises UserError for a checkpoint of it that is damaged."""
    path = home / "study.db"
    if path.exists():
        check_checkpoints(home)
    else:
        with storage(path):
            _make_study(path, plan, settings, classes_per_trial(plan, settings.classes_per_trial, slots))
    study = open_study(path, create=False)
    groups = groups_of(plan.classes, study.user_attrs["classes_per_trial"])
    return SweepRecord(study, plan, [tuple(sorted(group)) for group in groups], path=path)


def _make_study(path: Path, plan: Plan, settings: SweepSettings, size: int) -> None:
    """A study with all that a resume needs, under another name first: it is there whole, or not at all."""
    part = path.with_name(".study.db.part")
    part.unlink(missing_ok=True)
    # the scale by name: a resume on another machine must not choose anew
    resolved: dict[str, Any] = {"scale": plan.scale, "dataset": plan.base.dataset, "epochs": plan.base.epochs}
    if not plan.space.is_grid:
        resolved["configs"] = plan.configs
    facts = {
        "sweep_id": uuid.uuid4().hex,
        "classes_per_trial": size,
        "plan": plan.as_record(),
        "settings": {**dataclasses.asdict(settings), **resolved},
    }
    study = open_study(part, create=True)
    for name, value in facts.items():
        study.set_user_attr(name, value)
    study._storage.remove_session()
    put_in_place(part, path)
