"""Ctrl-C and SIGTERM: the first one ends a sweep in good order, the second one at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "interruptible"]


class Interrupt:
    """Whether the sweep was told to stop; Tune's loop listens to SIGUSR1 while `in_tune`."""

    def __init__(self) -> None:
        self.requested = False
        self.in_tune = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """First signal: ask Tune to end, or leave at once where nothing needs saving. Second: leave at once."""
        if self.requested or not self.in_tune:
            self.requested = True
            raise KeyboardInterrupt
        self.requested = True
        print("stopping; a second Ctrl-C leaves at once", flush=True)
        signal.raise_signal(signal.SIGUSR1)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Handle SIGINT and SIGTERM for a sweep; the previous handlers come back at the end."""
    interrupt = Interrupt()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, interrupt.handle) for number in numbers]
    try:
        yield interrupt
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
