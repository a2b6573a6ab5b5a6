"""A driver that is killed and resumed leaves what an uninterrupted one does: a round of kill_loop.py."""

from __future__ import annotations

from tests.e2e.kill_loop import KillLoop


def test_a_driver_killed_at_random_moments_leaves_what_an_uninterrupted_one_does(loop: KillLoop) -> None:
    different, done = loop.round(1)  # classes as trials of their own
    assert not different, done
