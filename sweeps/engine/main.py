"""The command line of every sweep script: flags to a plan, everything checked, then the sweep."""

from __future__ import annotations

import dataclasses
import datetime
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from adcore.command_line import dataclass_flags, run
from adcore.errors import UserError, unknown_name
from sweeps.engine.cluster import check_address, prepare_environment
from sweeps.engine.mlflow_store import check_tracking_uri
from sweeps.engine.plan import Plan, describe, make_plan
from sweeps.engine.settings import SweepSettings
from sweeps.engine.space import Space
from sweeps.engine.start_from import start_from

__all__ = ["main", "one_driver"]

#: What may differ when a sweep is resumed: where it runs and where things are, not what it computes.
PLACES = (
    "resume", "name", "plan", "storage", "tracking_uri", "data_dir", "address",
    "gpus_per_trial", "cpus_per_trial", "max_concurrent", "report_timeout", "open_test_again",
)  # fmt: skip


def main(script: str, text: str, space: Space, argv: Sequence[str] | None = None) -> None:
    """Parse argv and run the sweep. Exits with 0 if it is whole, 1 with failed trials, 2 for bad input."""

    def body(**given: Any) -> int:
        return _run(script, space, given)

    run(f"sweeps/{script}.py", text, dataclass_flags(SweepSettings), body, argv)


def _run(script: str, space: Space, given: dict[str, Any]) -> int:
    settings = SweepSettings(**given)
    try:
        home = _home(script, settings)
    except (OSError, RuntimeError) as error:  # a name that is too long, a home folder that is not there
        raise UserError(f"--storage {settings.storage!r}: not a usable folder ({error})") from error
    if settings.resume:
        settings = _stored(home, given)
    if settings.start_from and settings.resume:  # the other sweep may be gone
        space = dataclasses.replace(space, points=_read(home, "plan")["space"]["points"])
    elif settings.start_from:
        space = start_from(space, home.parent / settings.start_from)
    plan = make_plan(script, settings, space)
    if settings.plan:
        click.echo(describe(plan, settings))
        return 0
    _check_writable(home)
    _check_tracking(settings, given)
    check_address(settings)
    _check_same_plan(home, plan)

    from adcore.datasets import load
    from adcore.fetch_display import fetch_progress
    from adcore.protocols import require_every_class

    source: dict[str, Any] = {"data_dir": settings.data_dir, "allow_unverified": settings.allow_unverified_data}
    with fetch_progress() as progress:
        data = load(plan.base.dataset, "train", **source, progress=progress)

    require_every_class(data.labels, len(data.class_names))
    prepare_environment(settings)
    from sweeps.engine.run import run_sweep

    with one_driver(home, is_new=not settings.resume):
        return run_sweep(plan, settings, home, data)


def _check_tracking(settings: SweepSettings, given: dict[str, Any]) -> None:
    """Raises UserError for an address that cannot be used; a resumed sweep can wait for its own server."""
    try:
        check_tracking_uri(settings.tracking_uri)
    except UserError as error:
        if not settings.resume or "tracking_uri" in given or not settings.tracking_uri.startswith("http"):
            raise
        click.echo(f"{error}; going on without it: what it is to be told waits on disk", err=True)


@contextmanager
def one_driver(home: Path, *, is_new: bool) -> Iterator[None]:
    """One driver per sweep. Raises UserError if another one works on it, or has begun it in the meantime."""
    from filelock import FileLock, Timeout

    created = [folder for folder in (home, *home.parents) if not folder.exists()]
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / ".lock", timeout=0):
            if is_new and (home / "study.db").exists():
                raise UserError(f"sweep {home.name!r} exists: give another --name, or --resume {home.name}")
            yield
    except UserError:
        if not (home / "study.db").exists():  # it has not begun: nothing is left of it
            (home / ".lock").unlink(missing_ok=True)
            for folder in created:
                with suppress(OSError):  # somebody else has put something there in the meantime
                    folder.rmdir()
        raise
    except Timeout:
        raise UserError(f"sweep {home.name!r} is being run by another process; wait for it, or end it") from None


def _home(script: str, settings: SweepSettings) -> Path:
    """The sweep's own folder. Raises UserError for a name that is taken, or unknown on resume."""
    storage = Path(settings.storage).expanduser().resolve()
    if settings.resume:
        known = sorted(path.parent.name for path in storage.glob("*/study.db"))
        if settings.resume not in known:
            raise unknown_name("sweep", settings.resume, known or [f"none in {storage}"])
        return storage / settings.resume
    now = datetime.datetime.now()
    home = storage / (settings.name or f"{script}-{now:%Y%m%d-%H%M%S}")
    if (home / "study.db").exists():
        raise UserError(f"sweep {home.name!r} exists in {storage}: give another --name, or --resume {home.name}")
    return home


def _stored(home: Path, given: dict[str, Any]) -> SweepSettings:
    """A resumed sweep's own settings, with places as given now. Raises UserError for any other difference."""
    stored = _read(home, "settings")
    if not isinstance(stored, dict) or set(stored) != {field.name for field in dataclasses.fields(SweepSettings)}:
        raise UserError(f"{home / 'study.db'}: the record of another version of this program; begin a new sweep")
    stored["normal_class"] = tuple(stored["normal_class"] or ())
    for name, value in given.items():
        if name not in PLACES and value != stored[name]:
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"sweep {home.name!r} was begun with {flag} {stored[name]}, not {value}; leave {flag} out")
    places = {name: value for name, value in given.items() if name in PLACES}
    return SweepSettings(**{**stored, "name": None, **places})


def _check_same_plan(home: Path, plan: Plan) -> None:
    """Raises UserError if this program would compute another sweep than the one on record."""
    if not (home / "study.db").exists():
        return
    before, now = _read(home, "plan"), json.loads(json.dumps(plan.as_record()))
    different = [name for name in now if not isinstance(before, dict) or now[name] != before.get(name)]
    if different:
        raise UserError(
            f"sweep {home.name!r} was begun with other settings of: {', '.join(different)}; begin a new one"
        )


def _read(home: Path, key: str) -> Any:
    from sweeps.engine.record import open_study

    attributes = open_study(home / "study.db", create=False).user_attrs
    if key not in attributes:
        raise UserError(f"{home / 'study.db'}: this sweep ended before it began; move the folder away and start again")
    return attributes[key]


def _check_writable(home: Path) -> None:
    folder = next(path for path in (home, *home.parents) if path.exists())
    try:  # in what is there already: a later check must not leave an empty folder behind
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"--storage: cannot write to {home} ({error.strerror})") from error
