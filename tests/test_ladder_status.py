"""What the display is told of a ladder search, from its first trial to its last."""

from __future__ import annotations

from tests.shown_records import better_with_number
from tests.sweep_parts import Sweep, record_of, small_plan


def test_a_search_counts_what_trains_what_has_stopped_for_now_and_shows_who_leads() -> None:
    record = record_of(small_plan((0, 1), configs=6))
    sweep = Sweep(record, better_with_number)
    assert sweep.search.status(0, 0) == (
        "0 of 6 configurations begun: 0 training, 0 stopped for now, 0 complete", None
    )  # fmt: skip
    first = sweep.start()
    assert first
    assert sweep.search.status(1, 0)[0] == "1 of 6 configurations begun: 1 training, 0 stopped for now, 0 complete"
    sweep.train(first)
    words, best = sweep.search.status(0, 0)
    leader = record.configurations[0]
    rung = record.ladder.rungs[leader.rung]
    assert words == (
        "1 of 6 configurations begun: 0 training, 1 stopped for now, 0 complete | "
        f"leading: {leader.value:.4f} after {rung.classes} class x {rung.epochs} epochs, rung 1 of "
        f"{len(record.ladder.rungs)}"
    )
    assert best is None
    sweep.run()
    words, best = sweep.search.status(0, 0)
    counts = record.ledger.counts()
    assert f"6 of 6 configurations begun: 0 training, {counts['stopped']} stopped for now" in words
    assert "leading" not in words
    assert best == max(each.mean for each in record.configurations.values() if each.mean is not None)
