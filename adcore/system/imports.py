"""Large libraries, imported in less time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["large_imports"]


@contextmanager
def large_imports() -> Iterator[None]:
    """What is imported stays to the end, so garbage collection is neither to look at it on the way nor ever after.

    For one thread at a time. benchmarks/imports.py measures what it saves.
    """
    was_enabled, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:  # else there may be garbage, which would never be collected
            gc.freeze()
        if was_enabled:
            gc.enable()
