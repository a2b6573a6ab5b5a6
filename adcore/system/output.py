"""Standard output and error that may go away while a program works, or that cannot take every character."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

__all__ = ["Lost", "is_a_closed_pipe", "keep_going"]

#: What becomes of a character that a stream's encoding lacks.
ERRORS = "backslashreplace"


class Lost(io.FileIO):
    """A descriptor that takes everything. reason: what the system said when it first could not be written."""

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
    """Make prints that nobody can take harmless from here on; returns what becomes of standard output.

    A character that their encoding lacks, as ASCII lacks those of many a folder's name, is shown by its number. Streams
    that somebody has put in the place of the process's own, as pytest does, stay as they are: then None.
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
    """Whether the reader has simply read enough, as `head` does."""
    return error.errno == errno.EPIPE


def _wrapped(stream: Any, own: Any) -> tuple[io.TextIOWrapper, Lost] | None:
    if stream is not own:
        return None
    if stream is None:  # it was closed before the program began
        raw = Lost(os.open(os.devnull, os.O_WRONLY), "w")
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors=ERRORS), raw
    stream.flush()
    raw = Lost(stream.fileno(), "w", closefd=False)
    at_once = stream.line_buffering or stream.write_through  # the latter with PYTHONUNBUFFERED
    text = io.TextIOWrapper(io.BufferedWriter(raw), encoding=stream.encoding, errors=ERRORS, line_buffering=at_once)
    return text, raw
