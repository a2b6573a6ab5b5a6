"""Workers that hang are ended, and no others: by a clock that the tests set."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.engine.live.watchdog import Watchdog

LIMIT = 100.0


class Watch:
    """A Watchdog on a clock of its own; trials hold a worker, or none."""

    def __init__(self) -> None:
        self.now, self.killed = 0.0, []
        self.silence = Watchdog(LIMIT, kill=self.killed.append, clock=lambda: self.now)

    def pass_time(self, seconds: float, *trials: Any, step: float = 5.0) -> None:
        """Tune steps every few seconds."""
        for _ in range(round(seconds / step)):
            self.now += step
            self.silence.kill_silent(list(trials))


def trial(name: str, worker: object) -> Any:
    return SimpleNamespace(trial_id=name, temporary_state=SimpleNamespace(ray_actor=worker))


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_worker_that_never_reports_is_ended_whatever_it_was_doing(watch: Watch) -> None:
    one = trial("a", "worker")
    watch.pass_time(LIMIT, one)
    assert watch.killed == []
    watch.pass_time(20, one)
    assert watch.killed == ["worker"]
    assert watch.silence.was_killed(one)


def test_a_report_starts_the_clock_again(watch: Watch) -> None:
    one = trial("a", "worker")
    for _ in range(5):
        watch.pass_time(LIMIT - 10, one)
        watch.silence.note_report(one)
    assert watch.killed == []
    watch.pass_time(LIMIT + 20, one)
    assert watch.killed == ["worker"]
    watch.silence.note_report(one)
    assert not watch.silence.was_killed(one), "it was started again, and is well"


def test_a_worker_that_is_taken_over_has_its_own_time(watch: Watch) -> None:
    first, second = trial("a", "worker"), trial("b", None)
    watch.pass_time(LIMIT - 10, first, second)
    first.temporary_state.ray_actor, second.temporary_state.ray_actor = None, "worker"
    watch.pass_time(LIMIT - 10, first, second)
    assert watch.killed == []
    watch.pass_time(30, first, second)
    assert watch.killed == ["worker"], "it froze between two trials"
    assert watch.silence.was_killed(second)
    assert not watch.silence.was_killed(first)


def test_a_trial_started_again_on_another_worker_does_not_inherit_the_silence(watch: Watch) -> None:
    one = trial("a", "worker")
    watch.pass_time(LIMIT - 10, one)
    one.temporary_state.ray_actor = None  # it crashed
    watch.pass_time(500, one)
    one.temporary_state.ray_actor = "other"
    watch.pass_time(LIMIT - 10, one)
    assert watch.killed == []


def test_a_driver_that_was_asleep_ends_nobody(watch: Watch) -> None:
    one = trial("a", "worker")
    watch.pass_time(10, one)
    watch.now += 50 * LIMIT  # Ctrl-Z
    watch.pass_time(LIMIT - 20, one)
    assert watch.killed == []
    watch.pass_time(40, one)
    assert watch.killed == ["worker"]
