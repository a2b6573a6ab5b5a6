"""How far a ladder search is, for the display."""

from __future__ import annotations

from collections.abc import Container, Sequence
from statistics import fmean

from sweeps.engine.planning.labels import count_of
from sweeps.engine.record.record import SweepRecord

__all__ = ["ladder_status"]


def ladder_status(records: Sequence[SweepRecord], training: Container[int]) -> tuple[str, float | None]:
    """Counts of all records in words, and the mean of the records' best ones, once each has one that is complete.

    training: the configurations that train now. Others that have begun count as stopped for now: they may still be
    promoted.
    """
    counts = [record.ledger.counts() for record in records]
    states = {state: sum(state_counts[state] for state_counts in counts) for state in counts[0]}
    now = sum(number in training for record in records for number in record.configurations)
    stopped = states["stopped"] + max(0, states["running"] - now)
    shown = [f"{now} training", f"{stopped} stopped for now", f"{states['complete']} complete"]
    shown += [f"{states[state]} {state}" for state in ("diverged", "failed") if states[state]]
    begun, total = sum(len(record.configurations) for record in records), sum(r.plan.configs for r in records)
    in_words = f"{begun} of {count_of(total, 'configuration')} begun: {', '.join(shown)}"
    best = [leader.mean or 0.0 for record in records for leader in record.best(1)]
    if len(best) == len(records):
        return in_words, fmean(best)
    leader = _leader_in_words(records[0]) if len(records) == 1 else ""
    return " | ".join(filter(None, [in_words, leader])), None


def _leader_in_words(record: SweepRecord) -> str:
    """The configuration that has come furthest, and its value there; empty before the first has reached a rung."""
    rungs = record.ladder.rungs
    for number in record.ladder.leaders(1):
        leader = record.configurations[number]
        rung = rungs[leader.rung]
        trained = f"{count_of(rung.classes, 'class')} x {count_of(rung.epochs, 'epoch')}"
        return f"leading: {leader.value:.4f} after {trained}, rung {leader.rung + 1} of {len(rungs)}"
    return ""
