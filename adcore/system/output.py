"""Standard output and error that may close while a program runs, or that cannot encode every character."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

__all__ = ["PLAIN", "Lost", "is_a_closed_pipe", "is_lost", "keep_going"]

#: Error handler for characters that a stream's encoding lacks.
ERRORS = "backslashreplace"


#: Options of a rich Console that prints text as it is: brackets in names are no markup, and `:cat:` is no emoji.
PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}


class Lost(io.FileIO):
    """A file descriptor whose writes never fail. reason: the first error of a write."""

    reason: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write what can be written; the rest is dropped without an error."""
        if self.reason is None:
            try:
                return super().write(data)
            except OSError as error:
                self.reason = error
        return memoryview(data).nbytes


def keep_going() -> Lost | None:
    """Make failing prints to standard output and error harmless from now on; returns the descriptor of standard output.

    A character that the encoding lacks, as ASCII lacks an umlaut in a folder's name, is shown by its number. Streams
    that were replaced, as by pytest, are left alone; None if standard output was.
    """
    error = _wrapped(sys.stderr, sys.__stderr__)
    if error is not None:
        sys.stderr = error[0]
    out = _wrapped(sys.stdout, sys.__stdout__)
    if out is None:
        return None
    sys.stdout = out[0]
    return out[1]


def is_a_closed_pipe(error: OSError) -> bool:
    """Whether the reader closed the pipe after reading enough, as `head` does."""
    return error.errno == errno.EPIPE


def is_lost() -> bool:
    """Whether standard output, after `keep_going`, can no longer be written."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, Lost) and raw.reason is not None


def _wrapped(stream: Any, original: Any) -> tuple[io.TextIOWrapper, Lost] | None:
    if stream is not original:
        return None
    if stream is None:  # it was closed before the program started
        raw = Lost(os.open(os.devnull, os.O_WRONLY), "w")
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors=ERRORS), raw
    stream.flush()
    raw = Lost(stream.fileno(), "w", closefd=False)
    at_once = stream.line_buffering or stream.write_through  # the latter with PYTHONUNBUFFERED
    text = io.TextIOWrapper(io.BufferedWriter(raw), encoding=stream.encoding, errors=ERRORS, line_buffering=at_once)
    return text, raw
