"""Signals: the first one ends a sweep in good order, the second one at once, and a hang-up counts once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from ray.tune.tune import _setup_signal_catching

from sweeps.engine.machine.interrupt import interruptible, signals_blocked
from tests.sweep_process import poll


@pytest.fixture(autouse=True)
def _not_under_nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_first_signal_lets_tunes_loop_end(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(number)
    with interruptible() as interrupt:
        has_ended = _setup_signal_catching()
        interrupt.take_over()
        interrupt.in_tune = True
        interrupt.pass_on()
        os.kill(os.getpid(), number)
        assert interrupt.requested
        assert not has_ended.is_set(), "at the loop's next step, which says so"
        for said in ("stopping; press Ctrl-C again to quit now\n", ""):
            assert capsys.readouterr().out == ""
            interrupt.pass_on()
            assert capsys.readouterr().out == said
            assert has_ended.is_set()
    assert signal.getsignal(number) == before


def test_the_drivers_own_reasons_end_tunes_loop_without_an_interruption() -> None:
    with interruptible() as interrupt:
        for _ in range(2):  # a loop for each stage
            has_ended = _setup_signal_catching()
            interrupt.take_over()
            interrupt.end_tune()
            assert has_ended.is_set()
        assert not interrupt.requested


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_second_signal_leaves_at_once(second: signal.Signals) -> None:
    with interruptible() as interrupt:
        interrupt.in_tune = True
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)


def test_a_hang_up_that_a_shell_passes_on_counts_once() -> None:
    with interruptible() as interrupt:
        interrupt.in_tune = True
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupt.count == 1


def test_a_signal_as_an_object_dies_is_heard_at_the_next_check(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)

    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with interruptible() as interrupt:
        interrupt.check()
        Dying()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
    assert not shown


def test_rays_own_answer_to_sigterm_is_heard_at_the_next_check_if_it_is_lost_as_an_object_dies() -> None:
    class Dying:
        def __del__(self) -> None:
            sys.exit(signal.SIGTERM)

    with interruptible() as interrupt:
        Dying()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_first_signal_in_the_midst_of_an_import_waits_for_its_end_and_a_second_does_not(
    number: signal.Signals,
) -> None:
    loaded: list[str] = []

    def load(name: str) -> None:
        with interrupt.deferred():
            os.kill(os.getpid(), number)
            loaded.append(name)

    with interruptible() as interrupt:
        with pytest.raises(KeyboardInterrupt):
            load("first")
        if number != signal.SIGHUP:  # of which a shell sends several
            with pytest.raises(KeyboardInterrupt):
                load("second")
    assert loaded[:1] == ["first"]
    assert "second" not in loaded


def test_outside_of_tunes_loop_the_first_signal_leaves() -> None:
    with interruptible(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGHUP)


def test_under_nohup_a_hang_up_is_none() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            interrupt.listen()
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_what_is_started_shielded_outlives_a_signal_that_this_process_hears_of(number: signal.Signals) -> None:
    code = "import sys; print('up', flush=True); sys.stdin.readline(); print('alive', flush=True)"
    with interruptible() as interrupt:
        interrupt.in_tune = True
        with signals_blocked():
            child = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert child.stdin
            assert child.stdout
            assert child.stdout.readline() == "up\n"
            os.kill(child.pid, number)
            os.kill(os.getpid(), number)
        # the system may hand it to another thread, which passes it on in its own time
        poll(lambda: interrupt.requested, "the signal, at the latest now")
        assert child.communicate("go on\n", timeout=30)[0] == "alive\n"
        assert child.returncode == 0
