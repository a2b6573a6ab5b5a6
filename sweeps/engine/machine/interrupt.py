"""Ctrl-C, SIGTERM, SIGUSR1 and a closed terminal: the first signal ends a sweep cleanly, the second at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["NOT_BEGUN", "Interrupt", "interruptible", "signals_blocked"]

#: Said if a sweep is told to stop while it starts.
NOT_BEGUN = "interrupted while it started"

#: Signals that the system or SLURM sends to every process at once.
FOR_ALL = (signal.SIGHUP, signal.SIGUSR1)


class Interrupt:
    """Counts how often the sweep was told to stop. signals: those that tell it to."""

    def __init__(self, signals: tuple[signal.Signals, ...]) -> None:
        self.signals = signals
        self.count, self.is_announced = 0, False
        self.in_tune = False  # Tune's loop asks pass_on() at each step
        self.is_deferred = False
        self.tune_handler: Callable[..., Any] | None = None  # its handler of SIGUSR1, which ends its loop

    @property
    def requested(self) -> bool:
        """Whether to stop launching and save."""
        return self.count > 0

    def listen(self) -> None:
        """Handle the signals; call again after Ray has started, which installs its own handlers."""
        for number in self.signals:
            signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """First signal: let Tune's loop or an import end, or raise if there is none. Second: raise at once."""
        if number == signal.SIGHUP and self.requested:  # a shell repeats to its jobs what the system has sent
            return
        self.count += 1
        if self.count > 1 or not (self.in_tune or self.is_deferred):
            raise KeyboardInterrupt

    def pass_on(self) -> None:
        """Called within Tune's loop: ends it if a stop was requested."""
        if self.requested:
            if not self.is_announced:  # here, as a signal may arrive in the middle of another line
                print("stopping; press Ctrl-C again to quit now", flush=True)
            self.is_announced = True
            self.end_tune()

    def check(self) -> None:
        """Raise if a stop was requested: Python drops an exception that is raised while an object is deleted."""
        if self.requested:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Generator[None]:
        """Within, a first signal waits for the end: for imports of libraries in C.

        There an exception may be lost, with half a library loaded, or abort the process.
        """
        self.is_deferred = True
        try:
            yield
        finally:
            self.is_deferred = False
        self.check()

    def take_over(self) -> None:
        """Called once Tune has installed its SIGUSR1 handler: a SIGUSR1 from outside, as from SLURM, means stop."""
        handler = signal.getsignal(signal.SIGUSR1)
        if callable(handler) and handler != self.handle:
            self.tune_handler = handler
        self.listen()

    def end_tune(self) -> None:
        """Called within Tune's loop: ends it."""
        if self.tune_handler is not None:
            self.tune_handler(signal.SIGUSR1, None)


@contextmanager
def interruptible() -> Generator[Interrupt]:
    """Handle SIGINT, SIGTERM, SIGHUP and SIGUSR1 for a sweep; the previous handlers are restored at the end.

    An ignored SIGHUP stays ignored, as nohup intends.
    """
    signals = [signal.SIGINT, signal.SIGTERM, *FOR_ALL]
    previous = {number: signal.getsignal(number) for number in signals}
    if previous[signal.SIGHUP] == signal.SIG_IGN:
        del previous[signal.SIGHUP]
    interrupt, unraisable = Interrupt(tuple(previous)), sys.unraisablehook

    def drop(dropped: sys.UnraisableHookArgs) -> None:
        if dropped.exc_type is SystemExit:  # what Ray's own handler makes of SIGTERM while it starts
            interrupt.count = max(1, interrupt.count)
        elif dropped.exc_type is not KeyboardInterrupt:
            unraisable(dropped)

    sys.unraisablehook = drop
    interrupt.listen()
    try:
        yield interrupt
    finally:
        sys.unraisablehook = unraisable
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def signals_blocked() -> Generator[None]:
    """Processes started within never get SIGHUP or SIGUSR1; this one does, when the block ends at the latest.

    Every process of the terminal, or of SLURM's step, gets them at once, and a sweep needs its Ray to end cleanly.
    """
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
