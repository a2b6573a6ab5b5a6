"""Ctrl-C and SIGTERM: the first one ends a sweep in good order, the second one at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "interruptible"]


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """How often the sweep was told to stop."""

    def __init__(self) -> None:
        self.count = 0
        self.in_tune = False  # Tune's loop asks pass_on() at each step

    @property
    def requested(self) -> bool:
        """Whether to stop launching and save."""
        return self.count > 0

    def listen(self) -> None:
        """Handle SIGINT and SIGTERM; to be called again after Ray has started, which puts its own in place."""
        for number in SIGNALS:
            signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """First signal: let Tune's loop end, or leave where there is none. Second: leave at once."""
        self.count += 1
        if self.count > 1 or not self.in_tune:
            raise KeyboardInterrupt
        print("stopping; a second Ctrl-C leaves at once", flush=True)

    def pass_on(self) -> None:
        """Called within Tune's loop, which ends if it was asked for."""
        if self.requested:
            self.end_tune()

    def end_tune(self) -> None:
        """Called within Tune's loop: it ends on SIGUSR1."""
        signal.raise_signal(signal.SIGUSR1)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Handle SIGINT and SIGTERM for a sweep; the previous handlers come back at the end."""
    interrupt, previous = Interrupt(), [signal.getsignal(number) for number in SIGNALS]
    interrupt.listen()
    try:
        yield interrupt
    finally:
        for number, handler in zip(SIGNALS, previous, strict=True):
            signal.signal(number, handler)
