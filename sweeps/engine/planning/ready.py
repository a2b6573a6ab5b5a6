"""How much a ladder has ready to train."""

from __future__ import annotations

from sweeps.engine.planning.ladder import Ladder

__all__ = ["ready"]


def ready(ladder: Ladder, *, new: int, under_way: int, most: int) -> int:
    """How many packs of one configuration could begin now, counted up to `most`; none begins.

    new, under_way: as for `Ladder.next_pack`.
    """
    ahead, count = ladder.copy(), 0
    while count < most and (pack := ahead.next_pack(new=new, at_once=1, limit=1, idle=1, under_way=under_way + count)):
        for _ in range(pack.new):
            ahead.begin(-1 - count)
        new, count = new - pack.new, count + 1
    return count
