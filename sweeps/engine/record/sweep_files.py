"""A sweep's own files: its record and its queue for MLflow, made when it begins and taken up by a resume."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Any

import optuna

from adcore.files import put_in_place
from sweeps.engine.machine.code import UNKNOWN, Code, current_code
from sweeps.engine.machine.storage import storage
from sweeps.engine.program import AnyPlan
from sweeps.engine.record.attributes import Facts
from sweeps.engine.record.study import open_study
from sweeps.engine.search.trial import check_checkpoints
from sweeps.engine.tracking.outbox import Outbox

__all__ = ["known_codes", "note_code", "open_outbox", "open_record"]


def open_record(home: Path, plan: AnyPlan, facts: dict[str, Any]) -> optuna.Study:
    """The record in a sweep's folder, made with these facts and the code that runs now if it is not there.

    Raises UserError for a checkpoint of the sweep that is damaged, StorageError.
    """
    path = home / "study.db"
    if not path.exists():
        own = {"sweep_id": uuid.uuid4().hex, "plan": plan.as_record(), "code": [current_code()]}
        with storage(path):
            _make_study(path, {**own, **facts})
        return open_study(path, create=False)
    check_checkpoints(home)
    study = open_study(path, create=False)
    if "data" not in study.user_attrs:  # of a version that did not note it
        with storage(path):
            study.set_user_attr("data", facts["data"])
    return study


def open_outbox(home: Path, study: optuna.Study) -> Outbox:
    """The queue of what MLflow is still to be told of the sweep of a record. Raises StorageError."""
    return Outbox(home / f"mlflow-outbox-{study.user_attrs['sweep_id'][:8]}.db")


def known_codes(facts: Facts) -> list[Code]:
    """The codes that a sweep was run with, one after another."""
    return [Code(*each) for each in facts.read("code") or [UNKNOWN]]


def note_code(facts: Facts) -> None:
    """Before anything is trained or scored: what other code has begun is on record as of both, and it is said.

    Raises StorageError.
    """
    known, now = known_codes(facts), current_code()
    if known[-1].sources == now.sources:
        return
    print(f"this sweep was run by other code before ({known[-1]}; now {now}): its results are of both", file=sys.stderr)
    facts.write("code", [*known, now])


def _make_study(path: Path, facts: dict[str, Any]) -> None:
    """A study with all that a resume needs, under another name first: it is there whole, or not at all."""
    part = path.with_name(".study.db.part")
    part.unlink(missing_ok=True)
    study = open_study(part, create=True)
    for name, value in facts.items():
        study.set_user_attr(name, value)
    study._storage.remove_session()
    put_in_place(part, path)
