"""Opening the Optuna study that a sweep's record is kept in."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna

from adcore.errors import UserError
from sweeps.engine.machine.locations import database_uri
from sweeps.engine.machine.storage import check_database, one_line

__all__ = ["open_study"]


def open_study(path: Path, *, create: bool) -> optuna.Study:
    """The study in a file of its own. Raises UserError for a file that is not one, is damaged, or is missing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = database_uri(path)
    if create:
        return optuna.create_study(storage=url, study_name="sweep", direction="maximize")
    if not path.is_file():
        raise UserError(f"{path}: not the record of a sweep (no such file)")
    try:
        if "studies" not in check_database(path):  # Optuna would make its tables in any file
            raise UserError(f"{path}: not the record of a sweep, or damaged (no studies in it)")
        return optuna.load_study(storage=url, study_name="sweep")
    except sqlite3.OperationalError as error:
        raise UserError(f"{path}: cannot be opened to write ({one_line(error)})") from error
    except UserError:
        raise
    except RuntimeError as error:  # the tables of another version of Optuna
        raise UserError(f"{path}: {one_line(error).replace('$STORAGE_URL', url)} Make a copy of it first") from error
    except Exception as error:  # SQLAlchemy, sqlite3 and Optuna each have their own
        raise UserError(
            f"{path}: not the record of a sweep, or damaged ({type(error).__name__}: {one_line(error)}); "
            "restore it from a copy, or begin a new sweep"
        ) from error
