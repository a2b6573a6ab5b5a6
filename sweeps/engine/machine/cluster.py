"""Ray: checked before it is imported, then started or joined."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adcore.errors import UserError
from adcore.files import check_writable
from adcore.system.backend import FILES_ALONE
from adcore.system.cpus import PATIENT_THREADS, allotted_cpus
from adcore.system.device import has_cuda_device
from sweeps.engine.machine.code import code_copy
from sweeps.engine.machine.environment import prepare_environment, read_variables_again
from sweeps.engine.machine.interrupt import signals_blocked
from sweeps.engine.machine.locations import check_name
from sweeps.engine.machine.nodes import alive_nodes
from sweeps.engine.machine.tokens import token_hint
from sweeps.engine.planning.labels import count_of
from sweeps.engine.planning.run_settings import RunSettings

__all__ = [
    "check_address",
    "check_docstrings",
    "cluster_has_gpus",
    "probe",
    "ray_cluster",
]

#: Seconds to wait for a port: the client libraries themselves wait for minutes.
PROBE_SECONDS = 3.0
#: Bytes of the local object store: a data set's train part is 47 MB (Fashion-MNIST) to 154 MB (CIFAR-10).
OBJECT_STORE_BYTES = 600_000_000
#: What Ray says of a cluster that refuses this process's token, and of a port where something else listens.
TOKEN_REFUSED = "Failed to connect to Ray cluster"
#: What else that may mean.
NO_HEAD = "either no head of a cluster listens there (its port is usually 6379)"
#: What Ray says of its own node if that has not started within half a minute.
SLOW_START = "timed out during startup"
#: Longest name of a socket, in bytes, and what Ray appends to its temporary folder for the name of one.
SOCKET_BYTES, SOCKET_NAME = 107, "ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store"


def check_docstrings() -> None:
    """Raises UserError if Python strips docstrings: Ray edits its own when it is imported."""
    if sys.flags.optimize > 1:
        raise UserError("Python runs without docstrings, which Ray needs; unset PYTHONOPTIMIZE, or leave -OO out")


def check_address(settings: RunSettings) -> None:
    """Raises UserError if a cluster does not answer, or this process has fewer CPUs than a local trial needs."""
    cpus = allotted_cpus()
    if settings.address == "local":
        if settings.cpus_per_trial > cpus:
            machine_cpus = os.cpu_count() or cpus
            shown = count_of(machine_cpus, "CPU")
            shown += f", of which this process may use {cpus}" if cpus < machine_cpus else ""
            raise UserError(f"--cpus-per-trial {settings.cpus_per_trial}: this machine has {shown}")
        _check_temporary_folder()
        if settings.gpus_per_trial and not has_cuda_device():
            raise UserError(f"--gpus-per-trial {settings.gpus_per_trial:g}: this machine has 0 GPUs")
        return
    address = settings.address
    if address == "auto":
        file = _temporary_folder()[1] / "ray" / "ray_current_cluster"  # written by `ray start`
        address = os.environ.get("RAY_ADDRESS", "")
        if address in ("", "auto"):
            address = file.read_text().strip() if file.exists() else ""
        if not address:
            raise UserError(
                f"--address auto: no Ray cluster runs on this machine (there is no {file}); "
                "start one with `ray start --head`"
            )
    host, _, port = address.rpartition(":")
    if not host or not (port.isdecimal() and len(port) <= 5):
        shown = address if settings.address != "auto" else f"auto, from RAY_ADDRESS {address}"
        raise UserError(f"--address {shown!r}: expected local, auto or HOST:PORT")
    probe("--address", address, host, int(port))


def _temporary_folder() -> tuple[str, Path]:
    """The variable that names the folder for Ray's temporary files, and that folder, as Ray finds it."""
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "")
    return (name, Path(os.environ[name])) if name else ("the temporary folder", Path("/tmp"))


def _check_temporary_folder() -> None:
    """Raises UserError if Ray could not create its sockets there; their names can be too long."""
    name, folder = _temporary_folder()
    check_name(folder.absolute(), name)
    check_writable(folder.absolute(), f"{name} {folder}")
    if len(os.fsencode(folder.absolute() / SOCKET_NAME)) > SOCKET_BYTES:
        most = SOCKET_BYTES - len(SOCKET_NAME) - 1
        raise UserError(
            f"{name} {folder}: too long for the names of Ray's sockets, expected at most {most} bytes; "
            "set RAY_TMPDIR to a folder with a shorter name"
        )


def probe(flag: str, address: str, host: str, port: int) -> None:
    """Raises UserError if nothing listens at host:port."""
    try:
        socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{flag} {address}: nothing answers at {host}:{port} ({reason})") from error


def _start_or_join(options: dict[str, Any]) -> None:
    """ray.init; once more if a local Ray was too slow for Ray's own limit: what it loads is in memory by then."""
    import ray
    from psutil import Process, wait_procs  # Ray has a copy of its own, and finds it for us

    others = Process().children()
    try:
        ray.init(**options)
    except Exception as error:
        if options["address"] != "local" or SLOW_START not in str(error):
            raise
        slow = [each for each in Process().children() if each not in others]
        for process in slow:  # Ray itself does not end them
            process.kill()
        wait_procs(slow)
        ray.init(**options)


@contextmanager
def ray_cluster(settings: RunSettings) -> Generator[None]:
    """Start a local Ray or join a cluster; disconnect on exit. Raises UserError if that fails."""
    import ray
    from ray._private import worker
    from ray.exceptions import AuthenticationError

    read_variables_again()
    # Workers run a copy of the driver's code: edits of its files do not reach a running sweep. Ray starts in "/", as
    # modules in the current folder would be imported first.
    environment: dict[str, Any] = {}
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": environment}
    if settings.address == "local":
        # "local": a new Ray, even if another one is running
        options |= {"address": "local", "num_cpus": allotted_cpus(), "include_dashboard": False}
        options |= {"object_store_memory": OBJECT_STORE_BYTES}
    else:
        # Ray would print pages of its own state for each node that is lost; the sweep says what became of the trials
        worker.listen_error_messages = _ignore_error_messages
        environment["env_vars"] = {**PATIENT_THREADS, **FILES_ALONE}
        options |= {"address": settings.address}
    try:
        quiet = contextlib.nullcontext() if settings.address == "local" else _silent_stderr()
        with code_copy() as environment["py_modules"], signals_blocked(), contextlib.chdir("/"), quiet:
            _start_or_join(options)
    except AuthenticationError as error:
        raise UserError(f"--address {settings.address}: {token_hint()}") from error
    except SystemExit as error:  # what Ray makes of SIGTERM while it starts
        raise KeyboardInterrupt from error
    except Exception as error:  # Ray also raises bare Exceptions, as for a node that starts slowly
        reason = textwrap.shorten(str(error).partition("Traceback")[0], 500)
        hint = f"; {NO_HEAD}, or {token_hint()}" if settings.address != "local" and TOKEN_REFUSED in reason else ""
        raise UserError(f"--address {settings.address}: Ray could not be started or joined ({reason}){hint}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _ignore_error_messages(worker: Any, threads_stopped: Any) -> None:
    """In place of Ray's thread that prints what goes wrong on any node."""


@contextmanager
def _silent_stderr() -> Generator[None]:
    """Within, standard error leads nowhere: Ray's C++ code writes lines of its own to it while it tries to join."""
    sys.stderr.flush()
    stderr_copy = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)


def cluster_has_gpus(settings: RunSettings) -> bool:
    """Whether a node of the running cluster has a GPU. Raises UserError if it cannot be joined."""
    check_address(settings)
    prepare_environment(settings)
    with ray_cluster(settings):
        return any(node["Resources"].get("GPU", 0) for node in alive_nodes())
