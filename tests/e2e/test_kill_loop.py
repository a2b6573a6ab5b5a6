"""A driver that is killed and resumed leaves what an uninterrupted one does: three rounds of kill_loop.py."""

from __future__ import annotations

import pytest
from kill_loop import KillLoop


@pytest.mark.parametrize("number", range(3))
def test_a_driver_killed_at_random_moments_leaves_what_an_uninterrupted_one_does(loop: KillLoop, number: int) -> None:
    different, done = loop.round(number)
    assert not different, done
