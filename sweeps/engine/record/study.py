"""The Optuna study that holds a sweep's record: created when the sweep starts, opened by a resume."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from adcore.errors import UserError
from adcore.files import put_in_place
from sweeps.engine.machine.code import current_code
from sweeps.engine.machine.commands import LIMITS, PLACES
from sweeps.engine.machine.locations import database_uri
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.record.checkpoint_files import check_checkpoints
from sweeps.engine.record.facts import FACTS
from sweeps.engine.record.home import SweepHome
from sweeps.engine.storage.errors import check_database, one_line, storage

__all__ = ["end_trial", "one_transaction", "open_record", "open_study", "storage_of"]


def open_study(path: Path, *, create: bool) -> optuna.Study:
    """The study in a file. Raises UserError if the file is missing, damaged or not a study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = database_uri(path)
    if create:
        return optuna.create_study(storage=url, study_name="sweep", direction="maximize")
    if not path.is_file():
        raise UserError(f"{path}: not the record of a sweep (no such file)")
    try:
        if "studies" not in check_database(path):  # Optuna would create its tables in any file
            raise UserError(f"{path}: not the record of a sweep, or damaged (no studies in it)")
        return optuna.load_study(storage=url, study_name="sweep")
    except sqlite3.OperationalError as error:
        raise UserError(f"{path}: cannot be opened for writing ({one_line(error)})") from error
    except UserError:
        raise
    except RuntimeError as error:  # the tables of another version of Optuna
        raise UserError(f"{path}: {one_line(error).replace('$STORAGE_URL', url)} Make a copy of it first") from error
    except Exception as error:  # SQLAlchemy, sqlite3 and Optuna each have their own
        raise UserError(
            f"{path}: not the record of a sweep, or damaged ({type(error).__name__}: {one_line(error)}); "
            "restore it from a copy, or start a new sweep"
        ) from error


def open_record(home: SweepHome, plan: BasePlan, attributes: dict[str, Any]) -> optuna.Study:
    """The record in a sweep's folder; if missing, it is created with these attributes and the running code.

    Its settings' places and limits become those of the attributes: they may change when a sweep is resumed.

    Raises UserError for a damaged checkpoint of the sweep, and StorageError.
    """
    if not home.has_record:
        sweep_attributes = {"sweep_id": uuid.uuid4().hex, "plan": plan.as_record(), "code": [current_code()]}
        with storage(home.record):
            _make_study(home.record, {**sweep_attributes, **attributes})
        return open_study(home.record, create=False)
    check_checkpoints(home)
    study = open_study(home.record, create=False)
    for name in ("data", FACTS):
        if name in attributes and name not in study.user_attrs:  # the record of a version that did not note it
            with storage(home.record):
                study.set_user_attr(name, attributes[name])
    stored, now = study.user_attrs["settings"], attributes.get("settings", {})
    if changed := {name: now[name] for name in (*PLACES, *LIMITS) if name in now and now[name] != stored.get(name)}:
        with storage(home.record):
            study.set_user_attr("settings", {**stored, **changed})
    return study


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage of a study, which Optuna has no public name for."""
    return study._storage  # pyright: ignore[reportPrivateUsage]


@contextlib.contextmanager
def one_transaction(study: optuna.Study) -> Generator[None]:
    """All that is written to a study in a file within is committed together, or not at all.

    Optuna commits each value, and each commit waits for the disk. Raises what Optuna and SQLAlchemy raise.
    """
    from sqlalchemy.orm import scoped_session, sessionmaker

    backend: Any = getattr(storage_of(study), "_backend", None)
    if backend is None:  # in memory
        yield
        return
    usual_session = backend.scoped_session
    with backend.engine.begin() as connection:
        backend.scoped_session = scoped_session(sessionmaker(connection, join_transaction_mode="rollback_only"))
        try:
            yield
        finally:
            backend.scoped_session.remove()
            backend.scoped_session = usual_session


def end_trial(
    study: optuna.Study, number: int, state: TrialState, value: float | None, *, name: str, step_values: Sequence[float]
) -> None:
    """Record how a running trial has ended. name: its state in words. step_values: one for each step.

    The same as Optuna's Trial and Study.tell record, which read the whole trial again for each value.
    """
    storage = storage_of(study)
    study_id = study._study_id  # pyright: ignore[reportPrivateUsage]
    trial = storage.get_trial_id_from_study_id_trial_number(study_id, number)
    storage.set_trial_user_attr(trial, "state", name)
    for step, step_value in enumerate(step_values):
        storage.set_trial_intermediate_value(trial, step, step_value)
    last = step_values[-1:] if state is TrialState.PRUNED else []
    storage.set_trial_state_values(trial, state, last or None if value is None else [value])


def _make_study(path: Path, attributes: dict[str, Any]) -> None:
    """Create a study with all that a resume needs, under another name first: it appears complete, or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    study = open_study(part, create=True)
    for name, value in attributes.items():
        study.set_user_attr(name, value)
    storage_of(study).remove_session()
    put_in_place(part, path)
