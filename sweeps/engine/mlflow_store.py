"""Where MLflow's runs are kept: the address is checked before MLflow is imported, and made ready once."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from adcore.errors import UserError
from sweeps.engine.cluster import probe
from sweeps.engine.storage_error import check_database

__all__ = ["artifact_location", "check_tracking_uri", "database_path", "make_database"]


def check_tracking_uri(uri: str) -> None:
    """Raises UserError unless the URI is a writable SQLite file or a server that answers."""
    expected = UserError(f"--tracking-uri {uri!r}: expected sqlite:///FILE or http(s)://HOST:PORT")
    try:
        parts = urlsplit(uri)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:  # a port that is no number, or too large
        raise expected from None
    if parts.username or parts.password:  # it would stand in the record, in the output and in MLflow itself
        raise UserError(
            "--tracking-uri: give name and password as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if uri.startswith("sqlite:///") and not re.search(r"[?%#\n]|:memory:", uri):
        _check_database(database_path(uri))
    elif parts.scheme in ("http", "https") and parts.hostname:
        probe("--tracking-uri", uri, parts.hostname, port)
    else:
        raise expected


def database_path(uri: str) -> Path:
    """The file of a SQLite URI: sqlite:///relative.db or sqlite:////absolute.db. Raises UserError if it cannot be."""
    path = Path(uri.removeprefix("sqlite:///"))
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # links that lead in a circle
        raise UserError(f"--tracking-uri {path}: not a usable file ({error})") from error


def make_database(uri: str) -> None:
    """Make a SQLite file that is not there yet, whole or not at all: MLflow's own way of seconds is not to be cut."""
    from mlflow.tracking import MlflowClient

    path = database_path(uri)
    if path.exists() and path.stat().st_size:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{part}").search_experiments(max_results=1)
    with suppress(FileNotFoundError):
        if not path.stat().st_size:
            path.unlink()
    try:
        os.link(part, path)  # unlike a rename, it leaves what another process has made in the meantime
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.rename(part, path)
    part.unlink(missing_ok=True)


def artifact_location(uri: str, experiment: str) -> str | None:
    """Artifacts lie beside a SQLite file, wherever `mlflow ui` is started; a server has its own place."""
    if not uri.startswith("sqlite:"):
        return None
    return (database_path(uri).parent / "mlartifacts" / experiment).as_uri()


def _check_database(path: Path) -> None:
    try:
        if path.is_dir() or not path.parent.is_dir():
            raise UserError(f"--tracking-uri {path}: expected a file in a folder that exists")
        is_new = not path.exists()
        if not is_new and not path.is_file():  # a device or a pipe
            raise UserError(f"--tracking-uri {path}: expected an ordinary file; name another one")
        with path.open("ab+") as file:
            file.seek(0)
            start = file.read(15)
        if is_new:
            path.unlink()
    except OSError as error:
        raise UserError(f"--tracking-uri {path}: not writable ({error.strerror})") from error
    if start not in (b"", b"SQLite format 3"):
        raise UserError(f"--tracking-uri {path}: not a SQLite database; name another file")
    if start:
        _check_tables(path)


def _check_tables(path: Path) -> None:
    """Raises UserError for a damaged database, and for one of another program: MLflow would put its tables into it."""
    try:
        tables = check_database(path)
    except sqlite3.OperationalError as error:
        raise UserError(f"--tracking-uri {path}: cannot be opened ({error})") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"--tracking-uri {path}: damaged ({error}); restore it, or name another file") from error
    if tables and not {"experiments", "runs"} <= tables:
        raise UserError(f"--tracking-uri {path}: the database of another program; name another file")
