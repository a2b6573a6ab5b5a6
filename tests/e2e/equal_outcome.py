"""A small sweep that is disturbed, and the uninterrupted one that it has to equal."""

from __future__ import annotations

from tests.e2e.kill_loop import ARGUMENTS, KINDS, KillLoop
from tests.e2e.sweep_outcome import outcome
from tests.sweep_process import SweepProcess, packs, poll

SMALL = [*ARGUMENTS, *KINDS[0], "--name", "k"]


def after_packs(sweep: SweepProcess, count: int) -> None:
    """Wait until the record holds so many packs."""
    home = sweep.folder / "runs" / "k"
    poll(lambda: sweep.process.poll() is not None or packs(home) >= count, f"{count} packs")
    assert sweep.process.poll() is None, f"it ended too early\n{sweep.out}\n{sweep.err}"


def ends_as_ever(sweep: SweepProcess, loop: KillLoop, uri: str | None = None) -> None:
    """Wait for its end, and compare what it leaves."""
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    expected, _ = loop.reference(0)
    found = outcome(sweep.folder / "runs" / "k", uri or sweep.uri)
    assert found == expected
