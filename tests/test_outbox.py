"""The outbox: what is put together is stored together, and updates of one run become one."""

from __future__ import annotations

import dataclasses
import math

import pytest

from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from tests.sweep_parts import small_plan


def test_what_is_put_in_a_transaction_that_fails_is_not_stored(outbox: Outbox) -> None:
    def fail() -> None:
        with outbox.transaction():
            outbox.put(RunUpdate("a"))
            with outbox.transaction():
                outbox.note("a", 1, "0", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(outbox) == 0
    assert outbox.note("a", 1, "0", {}), "it was not noted either"
    with outbox.transaction():
        assert not outbox.database.in_transaction, "nothing is written for nothing"


def test_merging_keeps_every_metric_and_the_latest_word() -> None:
    update = RunUpdate("a", "p", "name", {"state": "running", "x": "1"}, {"w": "2"}, [("m", 1.0, 1, 10)], [], "RUNNING")
    update.merge(RunUpdate("a", tags={"state": "complete"}, metrics=[("m", 2.0, 2, 20)], status="FINISHED"))
    assert update == RunUpdate(
        "a", "p", "name", {"state": "complete", "x": "1"}, {"w": "2"}, [("m", 1.0, 1, 10), ("m", 2.0, 2, 20)], [],
        "FINISHED",
    )  # fmt: skip


def test_what_an_interrupt_says_of_every_run_under_way_is_stored_together(outbox: Outbox) -> None:
    plan, statements = small_plan((0, 3), configs=4), list[str]()
    tracking = Tracking(outbox, plan, "stopped")
    tracking.open_sweep("search")
    tracking.open_trial("search", [Part(number, plan.base) for number in range(4)])
    before = len(outbox)
    outbox.database.set_trace_callback(statements.append)
    tracking.interrupt()
    assert len(outbox) - before == 1 + 4 + 8, "the sweep's, the configurations' and the classes' runs"
    assert statements.count("COMMIT") == 1


def test_the_runs_of_waiting_updates_are_known_though_a_training_has_diverged(outbox: Outbox) -> None:
    outbox.put(RunUpdate("search/0/0/3", metrics=[("val_auroc", math.nan, 1, 0), ("loss", math.inf, 1, 0)]))
    outbox.note_run("sweep", "1234")
    assert outbox.run_keys() == {"search/0/0/3", "sweep"}


def test_a_configuration_that_diverged_with_one_seed_does_not_end_as_complete(outbox: Outbox) -> None:
    plan = dataclasses.replace(small_plan((0, 3), configs=4), seeds=2)
    [first, second, *_] = plan.seeds_of("confirm")
    tracking = Tracking(outbox, plan, "s")
    tracking.open_sweep("confirm")
    for number in (1, 2):
        for seed in (first, second):
            tracking.open_trial("confirm", [Part(number, dataclasses.replace(plan.base, train_seed=seed))])
    tracking.close_configuration("confirm", 1, first, "diverged")
    tracking.close_configuration("confirm", 1, second, "complete")
    tracking.close_sweep("complete", {}, [])
    ended = {update.key: update.status for _, update in outbox.oldest(1000) if update.status}
    assert (ended["confirm/1"], ended["confirm/2"], ended["sweep"]) == ("FAILED", "FINISHED", "FINISHED")
