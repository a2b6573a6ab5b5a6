"""Ctrl-C, SIGTERM and a terminal that is closed: the first one ends a sweep in good order, the second one at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "interruptible", "without_hang_up"]


class Interrupt:
    """How often the sweep was told to stop. signals: those that tell it to."""

    def __init__(self, signals: tuple[signal.Signals, ...]) -> None:
        self.signals = signals
        self.count, self.is_said = 0, False
        self.in_tune = False  # Tune's loop asks pass_on() at each step

    @property
    def requested(self) -> bool:
        """Whether to stop launching and save."""
        return self.count > 0

    def listen(self) -> None:
        """Handle the signals; to be called again after Ray has started, which puts its own in place."""
        for number in self.signals:
            signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """First signal: let Tune's loop end, or leave where there is none. Second: leave at once."""
        if number == signal.SIGHUP and self.requested:  # a shell passes on to its jobs what the system has told them
            return
        self.count += 1
        if self.count > 1 or not self.in_tune:
            raise KeyboardInterrupt

    def pass_on(self) -> None:
        """Called within Tune's loop, which ends if it was asked for."""
        if self.requested:
            if not self.is_said:  # here, for a signal may come in the midst of another line
                print("stopping; a second Ctrl-C leaves at once", flush=True)
            self.is_said = True
            self.end_tune()

    def end_tune(self) -> None:
        """Called within Tune's loop: it ends on SIGUSR1."""
        signal.raise_signal(signal.SIGUSR1)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Handle SIGINT, SIGTERM and SIGHUP for a sweep; the previous handlers come back at the end.

    A SIGHUP that is ignored stays so: that is what nohup is for.
    """
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    previous = {number: signal.getsignal(number) for number in signals}
    if previous[signal.SIGHUP] == signal.SIG_IGN:
        del previous[signal.SIGHUP]
    interrupt = Interrupt(tuple(previous))
    interrupt.listen()
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def without_hang_up() -> Iterator[None]:
    """Processes that are begun within never hear of a terminal that is closed; this one does, at its end at the latest.

    The system tells every process of the terminal at once, and a sweep cannot end in good order without its Ray.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
