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

from sweeps.engine.planning.rungs import Rung, members_on, rung_costs
from sweeps.engine.planning.standings import Standings, leaders

__all__ = ["Ladder", "Pack", "count_ready"]

#: Packs at a time once only late promotions are left: with more, each would be chosen knowing too little of the others'
#: results (benchmarks/search.py, 16 workers).
LATE_PACKS = 4


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
        self._rung_costs = rung_costs(rungs)
        self._members = [members_on(self.rungs, place) for place in range(len(rungs))]
        self._standings = [Standings() for _ in rungs]
        self._entrants: list[set[int]] = [set() for _ in (*rungs, None)]  # each rung; nothing begins the last one

    def begin(self, configuration: int, rung: int = 0) -> None:
        """A configuration begins a rung: the lowest if it is new, else the one above the rung that it has reached."""
        self._entrants[rung].add(configuration)
        self.spent += self._rung_costs[rung]
        if rung:
            self._standings[rung - 1].promote(configuration)

    def reach(self, configuration: int, rung: int, value: float) -> None:
        """A configuration has reached a rung. value: finite; one that has diverged reaches nothing."""
        self._standings[rung].reach(configuration, value, is_promoted=configuration in self._entrants[rung + 1])

    def has_begun(self, configuration: int) -> bool:
        """Whether a configuration has begun the lowest rung."""
        return configuration in self._entrants[0]

    @property
    def begun_count(self) -> int:
        """The number of configurations that have begun."""
        return len(self._entrants[0])

    def ranking(self, rung: int) -> list[int]:
        """The configurations that have reached a rung, best first."""
        return [configuration for _, configuration in self._standings[rung].places]

    def leaders(self, count: int) -> list[int]:
        """So many configurations that have come furthest: from the highest rung down, best first."""
        return leaders(self._standings, count)

    def next_pack(self, *, new: int, max_new: int, limit: int, idle: int, under_way: int) -> Pack | None:
        """Begin the pack that a free slot trains next; None if there is nothing to do before running packs have ended.

        Promotions come first, as far as the budget still lets all new configurations begin, then new configurations,
        then late promotions. new: how many configurations may still be proposed; max_new: of those in a pack.
        limit: experiments in a pack at most, unless one configuration has more. idle: free slots, which share what is
        ready. under_way: running packs. The caller begins new configurations, by their numbers.
        """
        promotion = partial(self.promotion, reserve=new * self._rung_costs[0])
        if first := promotion():
            return self._gather_pack(first, promotion, limit, idle)
        affordable = max(0, int((self.budget - self.spent) // self._rung_costs[0]))
        if count := min(new, affordable if self._entrants[0] else max(1, affordable)):
            return Pack(0, new=min(count, max_new, max(1, limit // self._members[0]), -(-count // idle)))
        if under_way >= LATE_PACKS:
            return None
        if first := self.late_promotion():
            return self._gather_pack(first, self.late_promotion, limit, idle)
        if not under_way and (first := self.promotion_beyond_budget()):
            self.begin(*first)
            return Pack(first[1], first[:1])
        return None

    def copy(self) -> Ladder:
        """Another ladder with the same progress: what begins on one has not begun on the other."""
        ladder = copy.copy(self)
        ladder._entrants = [set(begun) for begun in self._entrants]
        ladder._standings = copy.deepcopy(self._standings)
        return ladder

    def _gather_pack(
        self, first: tuple[int, int], next_promotion: Callable[[], tuple[int, int] | None], limit: int, idle: int
    ) -> Pack:
        """The first promotion and those that follow to the same rung, as far as they fit; free slots share equally."""
        rung, spent = first[1], self.spent
        configurations: list[int] = []
        promotion: tuple[int, int] | None = first
        most = max(1, limit // self._members[rung])
        while (
            promotion
            and promotion[1] == rung
            and len(configurations) < most
            and self.kind(promotion[0]) == self.kind(first[0])
        ):
            self.begin(*promotion)
            configurations.append(promotion[0])
            promotion = next_promotion()
        for configuration in configurations[-(-len(configurations) // idle) :]:  # left to the other slots
            self._entrants[rung].discard(configuration)
            self._standings[rung - 1].undo_promotion(configuration)
        own_share = tuple(configurations[: -(-len(configurations) // idle)])
        self.spent = spent + len(own_share) * self._rung_costs[rung]
        return Pack(rung, own_share)

    def promotion(self, reserve: int = 0) -> tuple[int, int] | None:
        """The next promotion, (configuration, rung): the best 1 of `reduction` at each rung, the highest rung first.

        reserve: class-epochs of the budget that are not for promotions. Where later configurations are better than
        earlier ones, as a good sampler makes them, many are among the best for a while.
        """
        for share, rung, configuration in reversed(self.promotion_candidates()):
            if share >= self.reduction and self._affords(self._rung_costs[rung] + reserve):
                return configuration, rung
        return None

    def late_promotion(self) -> tuple[int, int] | None:
        """The next promotion when nothing new is left: the one that the largest reduction would have promoted.

        This corrects wrong stops as far as the budget goes, at each rung alike. Only a configuration that the budget
        could take to the top alone is promoted.
        """
        candidates = [
            candidate
            for candidate in self.promotion_candidates()
            if self._affords(sum(self._rung_costs[candidate[1] :]))
        ]
        _, rung, configuration = max(candidates, default=(0, 0, 0))
        return (configuration, rung) if candidates else None

    def promotion_beyond_budget(self) -> tuple[int, int] | None:
        """The next promotion beyond the budget: the best of the highest rung, while fewer than `best` are complete."""
        candidates = self.promotion_candidates()
        if not candidates or len(self._standings[-1]) >= self.best:
            return None
        _, rung, configuration = candidates[-1]
        return configuration, rung

    def promotion_candidates(self) -> list[tuple[float, int, int]]:
        """The best unpromoted one of each rung: the reduction that would promote it, the next rung, its number."""
        candidates: list[tuple[float, int, int]] = []
        for rung, standings in enumerate(self._standings[:-1]):
            if first := standings.best_unpromoted():
                rank, configuration = first
                candidates.append((len(standings) / rank, rung + 1, configuration))
        return candidates

    def _affords(self, cost: int) -> bool:
        return self.spent + cost <= self.budget


def count_ready(ladder: Ladder, *, new: int, under_way: int, most: int) -> int:
    """How many packs of one configuration could begin now, counted up to `most`; none begins.

    new, under_way: as for `Ladder.next_pack`.
    """
    scratch_ladder, count = ladder.copy(), 0
    while count < most and (
        pack := scratch_ladder.next_pack(new=new, max_new=1, limit=1, idle=1, under_way=under_way + count)
    ):
        for _ in range(pack.new):
            scratch_ladder.begin(-1 - count)
        new, count = new - pack.new, count + 1
    return count
