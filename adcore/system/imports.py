"""Faster imports of large libraries."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["large_imports"]


@contextmanager
def large_imports() -> Iterator[None]:
    """Keep garbage collection away from imported modules, now and later, since they stay until the process ends.

    For one thread at a time. benchmarks/imports.py measures the time saved.
    """
    was_enabled, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:  # else garbage might be frozen, and never collected
            gc.freeze()
        if was_enabled:
            gc.enable()
