"""Workers that are killed or hang: what a sweep leaves is the same."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.equal_outcome import SMALL, after_packs, ends_as_ever
from tests.e2e.kill_loop import KillLoop
from tests.sweep_process import Begin, poll


def test_workers_that_are_killed_or_hang_are_started_again_and_a_second_driver_is_refused(
    loop: KillLoop, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *SMALL, "--report-timeout", "5")
    after_packs(sweep, 1)
    killed = poll(sweep.worker, "a worker that trains")
    killed.kill()
    poll(lambda: (other := sweep.worker()) and other.pid != killed.pid, "another worker")
    after_packs(sweep, 2)
    hanging = poll(sweep.worker, "a worker that trains")
    hanging.suspend()
    second = begin(tmp_path, "--resume", "k")
    assert second.wait() == 2
    assert second.err == "error: sweep 'k' is being run by another process; wait for it, or end it\n"
    poll(lambda: not hanging.is_running() and sweep.process.poll() is None, "its end, in mid-sweep")
    ends_as_ever(sweep, loop)
