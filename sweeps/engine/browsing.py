"""Links to the sweeps' tables in MLflow, and `mlflow ui` on this machine; called by sweeps/ui.py."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from adcore.command_line import dataclass_flags, run
from adcore.errors import UserError
from adcore.options import check_options, option
from sweeps.engine.machine.locations import SQLITE, database_path, resolve_database
from sweeps.engine.storage.errors import one_line

__all__ = ["UiSettings", "main", "serve"]

#: Most links.
SHOWN = 10
#: An experiment that every MLflow has, to ask a server for.
DEFAULT = "Default"
#: Signals that end the server, as Ctrl-C does.
STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
#: Seconds that a server has to end by itself.
PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class UiSettings:
    """The flags. Raises UserError with field, value and legal range of a bad one."""

    tracking_uri: str = option("sqlite:///mlflow.db", "MLflow database, or server (http://HOST:PORT): then only links")
    port: int = option(5000, "port of `mlflow ui`, on this machine's loopback address", at_least=1, at_most=65535)

    def __post_init__(self) -> None:
        check_options(self)


def browse(settings: UiSettings) -> int:
    """Print the links; serve a database until Ctrl-C. Raises UserError if there is no such database."""
    uri = settings.tracking_uri
    if not uri.startswith(SQLITE):
        _print_links(uri, _links(uri, uri.rstrip("/")))
        return 0
    uri = resolve_database(uri)
    if not (path := database_path(uri)).is_file():
        raise UserError(f"--tracking-uri {settings.tracking_uri}: there is no {path}; a sweep makes it")
    _require_free(settings.port)
    sweep_links = _links(uri, f"http://127.0.0.1:{settings.port}")
    print("MLflow starts; the links follow once it answers", flush=True)
    words = ["ui", "--backend-store-uri", f"{SQLITE}{path.name}", "--host", "127.0.0.1", "--port", str(settings.port)]
    os.environ.setdefault("MLFLOW_UVICORN_OPTS", "--log-level=warning")  # a line a request would hide the links
    command = [str(Path(sys.executable).with_name("mlflow")), *words]
    return serve(command, path.parent, lambda: _print_when_up(settings.port, uri, sweep_links))


def _require_free(port: int) -> None:
    """Raises UserError if something listens at the port of this machine's loopback address."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        hint = f"if that is another `mlflow ui`, open http://127.0.0.1:{port}; else " if is_taken else ""
        raise UserError(
            f"--port {port}: cannot be used ({os.strerror(error.errno or 0)}); {hint}give another --port"
        ) from error


def serve(command: Sequence[str], folder: Path, beside: Callable[[], object] = lambda: None) -> int:
    """Run a server in a folder; returns its exit code. beside: called in a thread of its own once it is started.

    Ctrl-C, SIGTERM and a closed terminal end all its processes; a signal that was ignored stays so, as nohup intends.
    """
    servers: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        asked.append(number)
        if servers:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in STOPPING}
    listened = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    try:
        for number in listened:
            signal.signal(number, stop)
        servers.append(subprocess.Popen(command, cwd=folder, start_new_session=True))
        threading.Thread(target=beside, daemon=True).start()
        return 0 if asked else servers[0].wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for server in servers:
            _end(server)
        for number in listened:
            signal.signal(number, before[number])


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server and the processes that it has begun, by force if it takes long."""
    with suppress(ProcessLookupError):  # all have ended by themselves
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _print_when_up(port: int, uri: str, sweep_links: Sequence[tuple[str, str]]) -> None:
    """Print the links once something answers at the port: below what the server says as it starts."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.2)
        else:
            return _print_links(uri, sweep_links)


def _print_links(uri: str, sweep_links: Sequence[tuple[str, str]]) -> None:
    for name, link in sweep_links[:SHOWN]:
        print(f"{name}: {link}", flush=True)
    if not sweep_links:
        print(f"no sweep in {uri} has a table yet", flush=True)


def _links(uri: str, address: str) -> list[tuple[str, str]]:
    """The sweeps' names and links. Raises UserError for what is not MLflow, or cannot be read by this one."""
    from sweeps.engine.tracking.api import check_api
    from sweeps.engine.tracking.store import check_tracking_uri, open_database
    from sweeps.engine.tracking.variables import set_variables

    check_tracking_uri(uri)
    set_variables(uri)  # before MLflow is imported
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    from sweeps.engine.tracking.view import links

    try:
        if uri.startswith(SQLITE):
            open_database(uri)
        else:
            check_api(uri, DEFAULT)
        return links(uri, address)
    except (MlflowException, RequestException) as error:
        raise UserError(f"--tracking-uri {uri}: {one_line(error)}") from error


def main(text: str, argv: Sequence[str] | None = None) -> None:
    """The command. text: what --help says."""

    def body(**flags: Any) -> int:
        return browse(UiSettings(**flags))

    run("python -m sweeps.ui", text, dataclass_flags(UiSettings), body, argv)
