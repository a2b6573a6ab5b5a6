"""MLflow's store: its address is checked before MLflow is imported, and it is prepared once."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adcore.errors import UserError
from adcore.files import check_writable
from sweeps.engine.machine.commands import mlflow_command
from sweeps.engine.machine.locations import SQLITE, database_path, database_uri
from sweeps.engine.storage.errors import check_database, one_line
from sweeps.engine.tracking.artifacts import check_artifacts, prepare_artifacts
from sweeps.engine.tracking.server import check_server
from sweeps.engine.tracking.variables import set_variables

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = [
    "check_tracking_uri", "connect", "is_gone", "make_database", "open_database", "require_database",
    "without_stray_folders",
]  # fmt: skip


def check_tracking_uri(uri: str) -> None:
    """Raises UserError unless the URI is a writable SQLite file or a server that answers."""
    expected = UserError(f"--tracking-uri {uri!r}: expected sqlite:///FILE or http(s)://HOST:PORT")
    try:
        parts = urlsplit(uri)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:  # a port that is no number, or too large
        raise expected from None
    if parts.username or parts.password:  # they would appear in the record, in the output and in MLflow itself
        raise UserError(
            "--tracking-uri: set name and password in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if uri.startswith(SQLITE) and "\n" not in uri:
        _check_file(database_path(uri))
    elif parts.scheme in ("http", "https") and parts.hostname and not re.search(r"[?#\s]", uri):
        check_server(uri, f"{parts.hostname}:{port}")
    else:
        raise expected


def connect(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """A client of MLflow and the id of the experiment, which is created if missing.

    Raises UserError for a database that this MLflow cannot use, and for an experiment that was deleted; MLflow's and
    requests' own errors for a server that cannot be used.
    """
    set_variables(uri)
    from mlflow.tracking import MlflowClient

    if not uri.startswith(SQLITE):
        client = MlflowClient(uri, registry_uri=uri)
        return client, _experiment(client, uri, experiment, location=None)
    path = database_path(uri)
    check_artifacts(path, experiment)
    make_database(path)
    client = open_database(uri)
    location = prepare_artifacts(path, experiment)
    return client, _experiment(client, uri, experiment, location=location)


def open_database(uri: str) -> MlflowClient:
    """A client of MLflow for a database; call set_variables before. Raises UserError for one of another version."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    with without_stray_folders(uri):
        try:
            return MlflowClient(uri, registry_uri=uri)
        except MlflowException as error:
            if "database schema" not in str(error):
                raise
            raise UserError(_other_schema(database_path(uri), uri, str(error))) from error


def make_database(path: Path) -> None:
    """Create MLflow's tables in an empty SQLite file, at once: MLflow itself takes seconds and may be interrupted.

    Two drivers may do so at the same time, and no file is ever removed.
    """
    from mlflow.tracking import MlflowClient

    if not _is_empty(path):
        return
    with tempfile.TemporaryDirectory() as folder:
        uri = database_uri(Path(folder) / "mlflow.db")
        with without_stray_folders(uri):
            MlflowClient(uri).search_experiments(max_results=1)
        with closing(sqlite3.connect(Path(folder) / "mlflow.db")) as database_template:
            statements = list(database_template.iterdump())[1:-1]  # without the dump's own BEGIN and COMMIT
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in statements:
                database.execute(statement)
        database.execute("COMMIT")


def is_gone(uri: str) -> bool:
    """Whether `uri` is a SQLite file that is missing, or that SQLite has recreated empty."""
    return uri.startswith(SQLITE) and _is_empty(database_path(uri))


def require_database(uri: str) -> None:
    """Raises FileNotFoundError if a sweep's database is gone: MLflow would create an empty one in its place."""
    if is_gone(uri):
        raise FileNotFoundError(f"{database_path(uri)} is gone")


def _is_empty(path: Path) -> bool:
    try:
        return not path.stat().st_size
    except FileNotFoundError:
        return True


def _experiment(client: MlflowClient, uri: str, name: str, *, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    existing = client.get_experiment_by_name(name)
    if existing is None:
        try:
            return client.create_experiment(name, location)
        except MlflowException as error:
            existing = client.get_experiment_by_name(name)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or existing is None:
                raise  # else another driver has created it in the meantime
    if existing.lifecycle_stage == "deleted":  # MLflow restores it with every run that was ever deleted in it
        experiment_id = existing.experiment_id
        remove = mlflow_command(uri, f"mlflow gc --backend-store-uri {{uri}} --experiment-ids {experiment_id}")
        restore = mlflow_command(uri, f"MLFLOW_TRACKING_URI={{uri}} mlflow experiments restore -x {experiment_id}")
        raise UserError(
            f"--tracking-uri {uri}: the experiment {name!r} was deleted there, and its name is still taken; "
            f"remove it for good ({remove if uri.startswith(SQLITE) else 'mlflow gc, on the server'}), restore it "
            f"({restore}), or give another address"
        )
    return existing.experiment_id


def _other_schema(path: Path, uri: str, text: str) -> str:
    match = re.search(r"found version (\w+), but expected (\w+)", text)
    versions = f" (its schema is {match[1]}, expected {match[2]})" if match else ""
    return (
        f"--tracking-uri {path}: a database of another version of MLflow{versions}; make a copy of it and run "
        f"`{mlflow_command(uri, 'mlflow db upgrade {uri}')}`, or name another file"
    )


@contextmanager
def without_stray_folders(uri: str) -> Generator[None]:
    """Remove the folder that MLflow creates from the literal address, with %20 instead of a space.

    uri: of a database; for a server there is none.
    """
    stray = Path(uri.removeprefix(SQLITE)).parent if uri.startswith(SQLITE) else Path.cwd()
    new_folders = [folder for folder in (stray, *stray.parents) if not folder.exists()]
    try:
        yield
    finally:
        for folder in new_folders:
            with suppress(OSError):  # something else was put there in the meantime
                folder.rmdir()


def _check_file(path: Path) -> None:
    try:
        if path.is_dir() or not path.parent.is_dir():
            raise UserError(f"--tracking-uri {path}: expected a file in a folder that exists")
        if not path.exists():  # only its folder is checked: another driver may be creating the file
            check_writable(path.parent, f"--tracking-uri {path}")
            return
        if not path.is_file():  # a device or a pipe
            raise UserError(f"--tracking-uri {path}: expected an ordinary file; name another one")
        with path.open("rb+") as file:
            start = file.read(15)
    except OSError as error:
        raise UserError(f"--tracking-uri {path}: not writable ({error.strerror})") from error
    if start not in (b"", b"SQLite format 3"):
        raise UserError(f"--tracking-uri {path}: not a SQLite database; name another file")
    if start:
        _check_tables(path)


def _check_tables(path: Path) -> None:
    """Raises UserError for a damaged database, and for one of another program: MLflow would add its tables to it."""
    try:
        tables = check_database(path)
    except sqlite3.OperationalError as error:
        raise UserError(f"--tracking-uri {path}: cannot be opened ({one_line(error)})") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"--tracking-uri {path}: damaged ({error}); restore it, or name another file") from error
    if tables and not {"experiments", "runs"} <= tables:
        raise UserError(f"--tracking-uri {path}: the database of another program; name another file")
