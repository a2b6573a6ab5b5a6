"""Servers of a test's own on this machine's loopback address."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

__all__ = ["answers", "free_port"]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def answers(url: str) -> bool:
    """Whether a server says there that it is well."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
