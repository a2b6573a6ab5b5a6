"""Which processes of this machine still run. A container that shares its name but no process ids is another machine."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

__all__ = ["id_space", "process_runs"]

#: Another one after each boot.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def id_space() -> str:
    """Within what a process id means one process: this host's name, its kernel since it booted, and a PID namespace."""
    kernel, namespace = "", 0
    with suppress(OSError):  # only Linux has namespaces
        kernel, namespace = BOOT_ID.read_text()[:8], os.stat("/proc/self/ns/pid").st_ino
    return f"{socket.gethostname()}-{kernel}-{namespace}"


def process_runs(process: int) -> bool:
    """Whether there is a process with this id here, whosever it is."""
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
