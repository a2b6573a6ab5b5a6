"""Workers and drivers that are killed, hang or are told to stop: what a sweep leaves is the same."""

from __future__ import annotations

from pathlib import Path

from equal_outcome import FUSED, at_a_rung, ends_as_ever
from kill_loop import KillLoop
from sweep_process import Begin, poll


def test_a_killed_worker_is_started_again_and_a_second_driver_is_refused(
    loop: KillLoop, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *FUSED)
    at_a_rung(sweep, 1)
    worker = poll(sweep.worker, 60, "a worker that trains")
    worker.kill()
    poll(lambda: (other := sweep.worker()) and other.pid != worker.pid, 60, "another worker")
    second = begin(tmp_path, "--resume", "k")
    assert second.wait(60) == 2
    assert second.err == "error: sweep 'k' is being run by another process; wait for it, or end it\n"
    ends_as_ever(sweep, loop)


def test_a_worker_that_hangs_is_started_again(loop: KillLoop, begin: Begin, tmp_path: Path) -> None:
    sweep = begin(tmp_path, *FUSED, "--report-timeout", "0.4")
    at_a_rung(sweep, 1)
    worker = poll(sweep.worker, 60, "a worker that trains")
    worker.suspend()
    poll(lambda: not worker.is_running() and sweep.process.poll() is None, 90, "its end, in mid-sweep")
    ends_as_ever(sweep, loop)


def test_sigterm_and_two_ctrl_c_leave_a_sweep_that_goes_on(loop: KillLoop, begin: Begin, tmp_path: Path) -> None:
    first = begin(tmp_path, *FUSED)
    poll(lambda: "confirm:" in first.out or first.process.poll() is not None, 120, "the confirmation")
    first.process.terminate()
    assert first.wait(60) == 130, f"{first.out}\n{first.err}"
    assert "--resume k" in first.out
    second = begin(tmp_path, "--resume", "k")
    poll(lambda: "confirm:" in second.out or second.process.poll() is not None, 120, "the confirmation")
    second.interrupt()
    second.interrupt()
    assert second.wait(30) == 130, f"{second.out}\n{second.err}"
    assert "Traceback" not in first.err + second.err
    ends_as_ever(begin(tmp_path, "--resume", "k"), loop)
