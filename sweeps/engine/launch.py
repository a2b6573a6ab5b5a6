"""From a command line to a run: everything is checked first, then one driver works on the sweep's own folder."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adcore.command_line import dataclass_flags, run
from adcore.errors import UserError, unknown_name
from adcore.files import check_writable
from adcore.system.imports import large_imports
from sweeps.engine.machine.cluster import check_address, check_docstrings, prepare_environment
from sweeps.engine.machine.code import check_one_root, current_code
from sweeps.engine.machine.data import load_data, require_same
from sweeps.engine.machine.interrupt import Interrupt, interruptible
from sweeps.engine.machine.locations import SQLITE, absolute, check_name, database_path, followed
from sweeps.engine.planning.run_settings import PLACES, RunSettings
from sweeps.engine.program import AnyPlan, Program
from sweeps.engine.tracking.artifacts import check_artifacts
from sweeps.engine.tracking.store import check_tracking_uri
from sweeps.engine.tracking.variables import ignored

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["launch", "one_driver", "read_fact"]


def launch(program: Program[Any], text: str, argv: Sequence[str] | None = None) -> None:
    """Parse argv and run the program. Exits with 0 if it is whole, 1 with failed trials, 2 for bad input."""

    def body(**given: Any) -> int:
        with interruptible() as interrupt:
            return _run(program, given, interrupt)

    run(f"sweeps/{program.script}.py", text, dataclass_flags(program.settings), body, argv, on_record=True)


def _run(program: Program[Any], given: dict[str, Any], interrupt: Interrupt) -> int:
    check_one_root()
    check_docstrings()
    settings = program.settings(**given)
    try:
        home = _home(program.script, settings)
    except (OSError, RuntimeError) as error:  # a name that is too long, a home folder that is not there
        raise UserError(f"--storage {settings.storage!r}: not a usable folder ({error})") from error
    if settings.resume:
        settings = _stored(program, home, given)
    plan: AnyPlan = program.plan(settings, home)
    _check_same_plan(home, plan)
    if settings.plan:
        click.echo(program.describe(plan, settings))
        return 0
    settings = absolute(settings)
    check_writable(home, f"--storage {settings.storage!r}")
    _check_tracking(settings, program.script, given)
    check_address(settings)
    _check_outbox(home)
    with large_imports():
        data, hashes = load_data(plan.dataset_names, program.parts, settings)
        if settings.resume:
            require_same(read_fact(home, "data", None), hashes, home.name)
        program.check(plan, data)
        prepare_environment(settings)
        current_code()  # as it is now, while most of it is loaded
        from sweeps.engine.run import run_program

    with one_driver(home, is_new=not settings.resume):
        return run_program(program, plan, settings, home, data, hashes, interrupt)


def _check_tracking(settings: RunSettings, experiment: str, given: dict[str, Any]) -> None:
    """Raises UserError for an address that cannot be used; a resumed sweep can wait for its own server."""
    if line := ignored(settings.tracking_uri, is_named="tracking_uri" in given):
        click.echo(line, err=True)
    try:
        check_tracking_uri(settings.tracking_uri)
    except UserError as error:
        if not settings.resume or "tracking_uri" in given or not settings.tracking_uri.startswith("http"):
            raise
        click.echo(f"{error}; going on without it: what it is to be told waits on disk", err=True)
    if settings.tracking_uri.startswith(SQLITE):
        check_artifacts(database_path(settings.tracking_uri), experiment)


@contextmanager
def one_driver(home: Path, *, is_new: bool) -> Iterator[None]:
    """One driver per sweep. Raises UserError if another one works on it, or has begun it in the meantime.

    Nothing is left of a sweep that ends before it has a record.
    """
    created = [folder for folder in (home, *home.parents) if not folder.exists()]
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{home}: cannot be made ({error.strerror})") from error
    lock = _locked(home)
    try:
        if is_new and (home / "study.db").exists():
            raise UserError(f"sweep {home.name!r} exists: give another --name, or --resume {home.name}")
        yield
    finally:
        if not (home / "study.db").exists():
            (home / ".lock").unlink(missing_ok=True)
            for folder in created:
                with suppress(OSError):  # somebody else has put something there in the meantime
                    folder.rmdir()
        lock.release()


def _locked(home: Path) -> BaseFileLock:
    from filelock import FileLock, Timeout

    lock = FileLock(home / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"sweep {home.name!r} is being run by another process; wait for it, or end it") from None
    except OSError as error:
        raise UserError(f"{home / '.lock'}: cannot be locked ({error.strerror}); move it away") from error
    return lock


def _home(script: str, settings: RunSettings) -> Path:
    """The sweep's own folder. Raises UserError for a name that is taken, or unknown on resume."""
    storage = Path(settings.storage).expanduser().resolve()
    check_name(storage, "--storage")
    if settings.resume:
        known = sorted(path.parent.name for path in storage.glob("*/study.db"))
        if settings.resume not in known:
            raise unknown_name("sweep", settings.resume, known or [f"none in {storage}"])
        return storage / settings.resume
    now = datetime.datetime.now()
    home = storage / (settings.name or f"{script}-{now:%Y%m%d-%H%M%S}")
    if (home / "study.db").exists():
        raise UserError(f"sweep {home.name!r} exists in {storage}: give another --name, or --resume {home.name}")
    if other := next((path.name for path in home.glob("*") if not path.name.startswith(".")), None):
        raise UserError(f"--name {home.name}: {home} holds other files ({other}, ...); give another --name")
    return home


def _stored(program: Program[Any], home: Path, given: dict[str, Any]) -> Any:
    """A resumed sweep's own settings, with places as given now. Raises UserError for any other difference."""
    stored, plan = read_fact(home, "settings"), read_fact(home, "plan")
    names = {field.name for field in dataclasses.fields(program.settings)}
    is_own = isinstance(plan, dict) and plan.get("script") == program.script
    if not is_own or not isinstance(stored, dict) or set(stored) != names:
        raise UserError(
            f"{home / 'study.db'}: the record of another script, or of another version of sweeps/{program.script}.py; "
            "resume it with its own, or begin a new sweep"
        )
    stored = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    places = (*PLACES, *program.places)
    for name, value in given.items():
        if name not in places and value != stored[name]:
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"sweep {home.name!r} was begun with {flag} {stored[name]}, not {value}; leave {flag} out")
    try:
        program.settings(**stored)
        stored = followed(stored, home.parent)
    except UserError as error:
        raise UserError(f"{home / 'study.db'}: damaged, with settings that no command line gives ({error})") from error
    return program.settings(**{**stored, "name": None, **{k: v for k, v in given.items() if k in places}})


def _check_same_plan(home: Path, plan: AnyPlan) -> None:
    """Raises UserError if this program would compute another sweep than the one on record."""
    if not (home / "study.db").exists():
        return
    before, now = read_fact(home, "plan"), json.loads(json.dumps(plan.as_record()))
    different = [name for name in now if not isinstance(before, dict) or now[name] != before.get(name)]
    if different:
        raise UserError(
            f"sweep {home.name!r} was begun with other settings of: {', '.join(different)}; begin a new one"
        )


def read_fact(home: Path, key: str, *default: Any) -> Any:
    """A fact of a record that is not open. Raises UserError if it is not there and there is no default."""
    from sweeps.engine.record.study import open_study

    path = home / "study.db"
    try:
        attributes = open_study(path, create=False).user_attrs
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: damaged, a fact that is not JSON ({error}); restore it from a copy") from error
    if key not in attributes and default:
        return default[0]
    if key not in attributes:
        raise UserError(f"{path}: this sweep ended before it began; move the folder away and start again")
    return attributes[key]


def _check_outbox(home: Path) -> None:
    """Raises UserError for a damaged queue of what MLflow is still to be told."""
    from sweeps.engine.machine.storage import check_database

    for path in home.glob("mlflow-outbox-*.db"):
        try:
            check_database(path)
        except sqlite3.Error as error:
            raise UserError(
                f"{path}: damaged or in use ({error}); restore it from a copy, or move it away and resume again: "
                "MLflow may then miss what was in it, the record does not"
            ) from error
