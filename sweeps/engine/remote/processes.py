"""Which processes of this machine still run. A container that shares its name but no process ids is another machine."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

__all__ = ["id_space", "process_runs"]


def id_space() -> str:
    """Within what a process id means one process: this host's name, and the kernel's number of its PID namespace."""
    namespace = 0
    with suppress(OSError):  # there is none but on Linux
        namespace = os.stat("/proc/self/ns/pid").st_ino
    return f"{socket.gethostname()}-{namespace}"


def process_runs(process: int) -> bool:
    """Whether there is a process with this id here, whosever it is."""
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
