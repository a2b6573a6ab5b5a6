"""Score images with the models of a sweep's winner; called by sweeps/predict.py."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import click

from adcore.command_line import run
from adcore.errors import UserError
from adcore.predict.command import CLASS, MODEL, SHARED, Request, predict
from sweeps.engine.machine.locations import with_moved_paths
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.find_home import find_home
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.resume import read_attribute
from sweeps.engine.remote.flags import split_address
from sweeps.engine.remote.local_files import fetch_files, local_home
from sweeps.engine.storage.address import parse_address
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import ObjectStore

__all__ = ["main", "winners_models"]

_FLAGS = (
    click.Option(
        ["--sweep"], metavar="NAME", help="a finished sweep, whose winner's models to use; or s3://BUCKET/PREFIX/NAME"
    ),
    click.Option(["--storage"], metavar="DIR", help="folder of the sweeps' records and checkpoints [default: runs]"),
)


def main(script: str, text: str, argv: Sequence[str] | None = None) -> None:
    """Parse argv, score, write. Exits with 0, with 1 if an image cannot be read, with 2 for bad input."""
    run(f"sweeps/{script}.py", text, [*_FLAGS, MODEL, CLASS, *SHARED], _predict, argv)


def winners_models(home: SweepHome) -> list[Path]:
    """The winner's checkpoints, with every fresh seed; copied from the store, if there is one.

    Raises UserError for a sweep that has not finished, StorageError for a store that cannot be read.
    """
    try:
        results = json.loads(home.results.read_text())
        winner, seeds = int(results["winner"]["configuration"]), [int(seed) for seed in results["seeds"]]
        classes = [int(index) for index in results["plan"]["base"]["classes"]]
    except FileNotFoundError as error:
        show = f"python -m sweeps.show {shlex.join([home.name, '--storage', str(home.folder.parent)])}"
        raise UserError(f"--sweep {home.name}: it has no winner yet; `{show}` tells how far it is") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # damaged, or not a search's
        raise UserError(
            f"--sweep {home.name}: expected a search that has ended; {home.place(home.results)} names no winner, or is "
            "damaged: resume the sweep, which writes it again"
        ) from error
    paths = [path for seed in seeds for path in home.checkpoints_of(winner, classes, seed)]
    fetch_files(home, paths)
    return paths


@contextlib.contextmanager
def _open_home(sweep: str, storage: str) -> Generator[SweepHome]:
    """The folder of a sweep in --storage or, named by its address, in a store."""
    if "://" in sweep:
        flags = split_address({"resume": sweep})
        store = ObjectStore(parse_address(flags["checkpoints"], "--sweep")).below(flags["resume"])
        with local_home(SweepHome(Path(flags["resume"]), store)) as local:
            fetch_files(local, [local.results], missing_ok=True)
            yield local
        return
    home = find_home("predict", RunSettings(storage=storage, resume=sweep))
    place = with_moved_paths(read_attribute(home, "settings"), home.folder.parent).get("checkpoints")
    home.store = ObjectStore(parse_address(place)).below(home.name) if place else None
    with local_home(home) as local:
        if local is not home and home.results.exists():
            local.folder.mkdir()
            shutil.copyfile(home.results, local.results)
        yield local


def _predict(sweep: str | None = None, storage: str | None = None, model: tuple[str, ...] = (), **flags: Any) -> int:
    if bool(model) == (sweep is not None):
        flags_given = f"--sweep {sweep} and --model: " if model else ""
        raise UserError(f"{flags_given}expected either --sweep NAME or --model, the files of models")
    if sweep is None:
        if storage is not None:
            raise UserError(f"--storage {storage!r}: where sweeps are; use it with --sweep NAME")
        return predict([Path(place) for place in model], Request(**flags))
    try:
        with _open_home(sweep, storage or RunSettings.storage) as home:
            return predict(winners_models(home), Request(**flags), source=f"--sweep {sweep}")
    except StorageError as error:
        raise UserError(f"--sweep {sweep}: {error}") from error
