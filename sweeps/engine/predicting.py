"""Score images with the models of a sweep's winner; called by sweeps/predict.py."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import click

from adcore.command_line import run
from adcore.errors import UserError
from adcore.predict.command import CLASS, MODEL, SHARED, Request, predict
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.resume import find_home, read_attribute
from sweeps.engine.remote.at_hand import at_hand, fetch
from sweeps.engine.remote.flags import named_apart
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
    """The winner's checkpoints, with every fresh seed; brought from the store, if there is one.

    Raises UserError for a sweep that has not finished, StorageError for a store that cannot be read.
    """
    try:
        results = json.loads(home.results.read_text())
        winner, seeds = int(results["winner"]["configuration"]), [int(seed) for seed in results["seeds"]]
        classes = [int(index) for index in results["plan"]["base"]["classes"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # missing, or not a search's
        raise UserError(f"--sweep {home.name}: no winner of a finished search in {home.place(home.results)}") from error
    paths = [path for seed in seeds for path in home.checkpoints_of(winner, classes, seed)]
    fetch(home, paths)
    return paths


@contextlib.contextmanager
def _opened(sweep: str, storage: str) -> Generator[SweepHome]:
    """The folder of a sweep in --storage or, named by its address, in a store."""
    if "://" in sweep:
        given = named_apart({"resume": sweep})
        store = ObjectStore(parse_address(given["checkpoints"], "--sweep")).below(given["resume"])
        with at_hand(SweepHome(Path(given["resume"]), store)) as here:
            fetch(here, [here.results], missing_ok=True)
            yield here
        return
    home = find_home("predict", RunSettings(storage=storage, resume=sweep))
    place = read_attribute(home, "settings").get("checkpoints")
    home.store = ObjectStore(parse_address(place)).below(home.name) if place else None
    with at_hand(home) as here:
        if here is not home and home.results.exists():
            here.folder.mkdir()
            shutil.copyfile(home.results, here.results)
        yield here


def _predict(sweep: str | None = None, storage: str | None = None, model: tuple[str, ...] = (), **flags: Any) -> int:
    if bool(model) == (sweep is not None):
        both = f"--sweep {sweep} and --model: " if model else ""
        raise UserError(f"{both}expected either --sweep NAME or --model, the files of models")
    if sweep is None:
        if storage is not None:
            raise UserError(f"--storage {storage!r}: where sweeps are; use it with --sweep NAME")
        return predict([Path(place) for place in model], Request(**flags))
    try:
        with _opened(sweep, storage or RunSettings.storage) as home:
            return predict(winners_models(home), Request(**flags), source=f"--sweep {sweep}")
    except StorageError as error:
        raise UserError(f"--sweep {sweep}: {error}") from error
