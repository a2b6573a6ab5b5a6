"""The ladder: which configuration is trained next, on how many classes and for how many epochs.

ASHA in its promotion form (Li et al. 2020, arXiv 1810.05934, algorithm 2). Its resource is a ladder of (classes,
epochs): a few informative classes, trained far, show soonest how good a configuration is. A promoted configuration
trains only what the next rung adds.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Hashable, Sequence
from functools import partial

from sweeps.engine.planning.rungs import Rung, added, members_on
from sweeps.engine.planning.standings import Standings, leaders

__all__ = ["Ladder", "Pack", "ready"]

#: Packs at a time once only late promotions are left: with more, each would be chosen knowing too little of the others'
#: results (benchmarks/search.py, 16 workers).
LATE = 4


@dataclasses.dataclass(frozen=True)
class Pack:
    """Configurations that train side by side: those that begin a rung, or a number of new ones, on the lowest rung."""

    rung: int
    configurations: tuple[int, ...] = ()
    new: int = 0


class Ladder:
    """The progress of every configuration. Configurations are numbers; a rung compares their values there.

    reduction: one of `reduction` is promoted. budget: class-epochs in all. best: the least number of configurations
    that reach the top, whatever the budget. kind: what all configurations of a pack have in common.
    """

    def __init__(
        self,
        rungs: Sequence[Rung],
        reduction: int,
        budget: float,
        best: int = 1,
        *,
        kind: Callable[[int], Hashable] = lambda _: None,
    ) -> None:
        self.rungs, self.reduction, self.budget, self.best = tuple(rungs), reduction, budget, best
        self.kind = kind
        self.spent = 0
        self._added = added(rungs)
        self._members = [members_on(self.rungs, place) for place in range(len(rungs))]
        self._standings = [Standings() for _ in rungs]
        self._begun: list[set[int]] = [set() for _ in (*rungs, None)]  # each rung; nothing begins the last one

    def begin(self, configuration: int, rung: int = 0) -> None:
        """A configuration begins a rung: the lowest if it is new, else the one above the rung that it has reached."""
        self._begun[rung].add(configuration)
        self.spent += self._added[rung]
        if rung:
            self._standings[rung - 1].go_on(configuration)

    def reach(self, configuration: int, rung: int, value: float) -> None:
        """A configuration has reached a rung. value: finite; one that has diverged reaches nothing."""
        self._standings[rung].reach(configuration, value, has_gone_on=configuration in self._begun[rung + 1])

    def has_begun(self, configuration: int) -> bool:
        """Whether a configuration has begun the lowest rung."""
        return configuration in self._begun[0]

    @property
    def begun(self) -> int:
        """The number of configurations that have begun."""
        return len(self._begun[0])

    def reached(self, rung: int) -> list[int]:
        """The configurations that have reached a rung, best first."""
        return [configuration for _, configuration in self._standings[rung].places]

    def leaders(self, count: int) -> list[int]:
        """So many configurations that have come furthest: from the highest rung down, best first."""
        return leaders(self._standings, count)

    def next_pack(self, *, new: int, at_once: int, limit: int, idle: int, under_way: int) -> Pack | None:
        """Begin the pack that a free slot trains next; None if there is nothing to do before running packs have ended.

        Promotions come first, as far as the budget still lets all new configurations begin, then new configurations,
        then late promotions. new: how many configurations may still be proposed; at_once: of those in a pack, at most.
        limit: experiments in a pack at most, unless one configuration has more. idle: free slots, which share what is
        ready. under_way: running packs. The caller begins new configurations, by their numbers.
        """
        promotion = partial(self.promotion, kept=new * self._added[0])
        if first := promotion():
            return self._gathered(first, promotion, limit, idle)
        affords = max(0, int((self.budget - self.spent) // self._added[0]))
        if count := min(new, affords if self._begun[0] else max(1, affords)):
            return Pack(0, new=min(count, at_once, max(1, limit // self._members[0]), -(-count // idle)))
        if under_way >= LATE:
            return None
        if first := self.late_promotion():
            return self._gathered(first, self.late_promotion, limit, idle)
        if not under_way and (first := self.furthest()):
            self.begin(*first)
            return Pack(first[1], first[:1])
        return None

    def copy(self) -> Ladder:
        """Another ladder with the same progress: what begins on one has not begun on the other."""
        ahead = copy.copy(self)
        ahead._begun = [set(begun) for begun in self._begun]
        ahead._standings = copy.deepcopy(self._standings)
        return ahead

    def _gathered(
        self, first: tuple[int, int], following: Callable[[], tuple[int, int] | None], limit: int, idle: int
    ) -> Pack:
        """The first promotion and those that follow to the same rung, as far as they fit; free slots share equally."""
        rung, spent = first[1], self.spent
        found: list[int] = []
        job: tuple[int, int] | None = first
        most = max(1, limit // self._members[rung])
        while job and job[1] == rung and len(found) < most and self.kind(job[0]) == self.kind(first[0]):
            self.begin(*job)
            found.append(job[0])
            job = following()
        for configuration in found[-(-len(found) // idle) :]:  # left to the other slots
            self._begun[rung].discard(configuration)
            self._standings[rung - 1].stay(configuration)
        kept = tuple(found[: -(-len(found) // idle)])
        self.spent = spent + len(kept) * self._added[rung]
        return Pack(rung, kept)

    def promotion(self, kept: int = 0) -> tuple[int, int] | None:
        """The next promotion, (configuration, rung): the best 1 of `reduction` at each rung, the highest rung first.

        kept: class-epochs of the budget that are not for promotions. Where later configurations are better than earlier
        ones, as a good sampler makes them, many are among the best for a while.
        """
        for share, rung, configuration in reversed(self.left_behind()):
            if share >= self.reduction and self._affords(self._added[rung] + kept):
                return configuration, rung
        return None

    def late_promotion(self) -> tuple[int, int] | None:
        """The next promotion when nothing new is left: the one that the largest reduction would have promoted.

        This corrects wrong stops as far as the budget goes, at each rung alike. Only a configuration that the budget
        could take to the top alone is promoted.
        """
        found = [each for each in self.left_behind() if self._affords(sum(self._added[each[1] :]))]
        _, rung, configuration = max(found, default=(0, 0, 0))
        return (configuration, rung) if found else None

    def furthest(self) -> tuple[int, int] | None:
        """The next promotion beyond the budget: the best of the highest rung, while fewer than `best` are complete."""
        found = self.left_behind()
        if not found or len(self._standings[-1]) >= self.best:
            return None
        _, rung, configuration = found[-1]
        return configuration, rung

    def left_behind(self) -> list[tuple[float, int, int]]:
        """The best unpromoted one of each rung: the reduction that would promote it, the next rung, its number."""
        found: list[tuple[float, int, int]] = []
        for rung, standings in enumerate(self._standings[:-1]):
            if first := standings.first_left():
                rank, configuration = first
                found.append((len(standings) / rank, rung + 1, configuration))
        return found

    def _affords(self, cost: int) -> bool:
        return self.spent + cost <= self.budget


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
