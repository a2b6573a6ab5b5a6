"""Ctrl-C, SIGTERM, SIGUSR1 and a terminal that is closed: the first ends a sweep in good order, the second at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Interrupt", "interruptible", "shielded"]

#: Signals that the system or SLURM sends to every process at once.
FOR_ALL = (signal.SIGHUP, signal.SIGUSR1)


class Interrupt:
    """How often the sweep was told to stop. signals: those that tell it to."""

    def __init__(self, signals: tuple[signal.Signals, ...]) -> None:
        self.signals = signals
        self.count, self.is_said = 0, False
        self.in_tune = False  # Tune's loop asks pass_on() at each step
        self.tunes_own: Callable[..., Any] | None = None  # its handler of SIGUSR1, which ends its loop

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
                print("stopping; press Ctrl-C again to quit now", flush=True)
            self.is_said = True
            self.end_tune()

    def check(self) -> None:
        """Leave if that was asked for where it could not be done: Python drops what is raised as an object dies."""
        if self.requested:
            raise KeyboardInterrupt

    def take_over(self) -> None:
        """Called when Tune has put its handler of SIGUSR1 in place: from outside, as SLURM sends it, it is one more."""
        found = signal.getsignal(signal.SIGUSR1)
        if callable(found) and found != self.handle:
            self.tunes_own = found
        self.listen()

    def end_tune(self) -> None:
        """Called within Tune's loop, which ends."""
        if self.tunes_own is not None:
            self.tunes_own(signal.SIGUSR1, None)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Handle SIGINT, SIGTERM, SIGHUP and SIGUSR1 for a sweep; the previous handlers come back at the end.

    A SIGHUP that is ignored stays so: that is what nohup is for.
    """
    signals = [signal.SIGINT, signal.SIGTERM, *FOR_ALL]
    previous = {number: signal.getsignal(number) for number in signals}
    if previous[signal.SIGHUP] == signal.SIG_IGN:
        del previous[signal.SIGHUP]
    interrupt, unraisable = Interrupt(tuple(previous)), sys.unraisablehook
    sys.unraisablehook = lambda dropped: dropped.exc_type is not KeyboardInterrupt and unraisable(dropped)
    interrupt.listen()
    try:
        yield interrupt
    finally:
        sys.unraisablehook = unraisable
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Processes begun within never hear of a closed terminal or SIGUSR1; this one does, at its end at the latest.

    Every process of the terminal, or of SLURM's step, is told at once, and a sweep cannot end in good order without its
    Ray.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
