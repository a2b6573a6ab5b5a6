"""How updates reach MLflow: in order, once, and whatever breaks in between."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from sweeps.engine.tracking.keys import SWEEP
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.runs import KEY_TAG
from sweeps.engine.tracking.writer import MlflowWriter
from tests.mlflow_parts import runs_of, writer_of
from tests.sweep_process import poll


class Dead:
    """An address of a tracking server that is down."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))  # taken, so that nobody else gets it, but nobody listens
        self.uri = f"http://127.0.0.1:{self.socket.getsockname()[1]}"


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dead]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    dead = Dead()
    yield dead
    dead.socket.close()


def test_a_dead_server_blocks_nothing_and_gets_everything_in_order_when_it_is_back(
    uri: str, sweep_id: str, dead: Dead, outbox: Outbox
) -> None:
    writer = writer_of(dead.uri, sweep_id, outbox)
    try:
        started = time.monotonic()
        for step in range(1, 21):
            for key, parent in ((SWEEP, None), ("search/0/0", SWEEP), ("search/0/0/1", "search/0/0")):
                tags = {"level": key.replace("/", "-"), "stage": "search", "state": "complete"}
                writer.outbox.put(
                    RunUpdate(key, parent, key, tags, metrics=[("m", step / 10, step, step)], status="FINISHED")
                )
        assert time.monotonic() - started < 60, "the sweep never waits"
        poll(lambda: writer.error, "the first delivery to fail")
        assert [update.key for _, update in outbox.oldest(3)] == [SWEEP, "search/0/0", "search/0/0/1"], "parents first"
        writer.uri = uri  # the server is back
        poll(lambda: writer.error is None and not len(writer.outbox), "the delivery")
    finally:
        assert writer.close()
    runs = runs_of(uri, sweep_id)
    runs.assert_whole()
    for key in (SWEEP, "search/0/0", "search/0/0/1"):
        assert runs.history(key, "m") == [(step, step / 10) for step in range(1, 21)]


def test_a_writer_that_could_not_deliver_says_so(sweep_id: str, dead: Dead, outbox: Outbox) -> None:
    writer = writer_of(dead.uri, sweep_id, outbox)
    writer.outbox.put(RunUpdate(SWEEP, name="lost"))
    poll(lambda: writer.error, "the first delivery to fail")
    assert not writer.close(patience=1)
    assert writer.error


def test_a_slow_mlflow_that_takes_one_update_after_the_other_is_waited_for(
    writer: MlflowWriter, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = writer.run_writer.try_write

    def slow(*update: Any) -> bool:
        time.sleep(0.3)
        return usual(*update)

    monkeypatch.setattr(writer.run_writer, "try_write", slow)
    for number in range(24):
        outbox.put(RunUpdate(f"search/{number}/0", name="n", status="FINISHED"))
    poll(lambda: writer.taken_at, "the first one to be taken")
    started = time.monotonic()
    assert writer.close(patience=1)
    assert time.monotonic() - started > 6, "longer than a writer that looks at all updates together"


class FailsTwice:
    """A client whose log_batch, when `left` is set to 2, fails twice, after the run was made."""

    def __init__(self, client: MlflowClient) -> None:
        self.client, self.left = client, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def log_batch(self, *arguments: Any, **named: Any) -> None:
        if self.left:
            self.left -= 1
            raise ConnectionError("reset by peer")
        self.client.log_batch(*arguments, **named)


def test_a_delivery_that_broke_in_the_middle_makes_no_second_run(
    uri: str, sweep_id: str, monkeypatch: pytest.MonkeyPatch, outbox: Outbox
) -> None:
    failing = FailsTwice(MlflowClient(uri))
    monkeypatch.setattr("mlflow.tracking.MlflowClient", lambda *_, **__: failing)
    writer = writer_of(uri, sweep_id, outbox)
    writer.outbox.put(RunUpdate("warm-up", tags={"level": "x", "stage": "x"}))
    poll(lambda: "warm-up" in writer.run_writer.ends, "the first run")
    failing.left = 2
    tags = {"level": "sweep", "stage": "search", "state": "complete"}
    writer.outbox.put(RunUpdate(SWEEP, name="s", tags=tags, metrics=[("m", 1.0, 1, 1)]))
    writer.outbox.put(RunUpdate(SWEEP, metrics=[("m", 2.0, 2, 2)], status="FINISHED"))
    assert writer.close()
    assert failing.left == 0, "it was tried and failed twice"
    runs = runs_of(uri, sweep_id)
    assert runs.history(SWEEP, "m") == [(1, 1.0), (2, 2.0)]
    assert set(runs.by_key) == {"warm-up", SWEEP}


def test_what_was_delivered_but_not_dropped_is_delivered_again_without_a_trace(
    uri: str, sweep_id: str, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {"level": "sweep", "stage": "search", "state": "complete"}
    outbox.put(RunUpdate(SWEEP, name="s", tags=tags, params={"w": "1"}, metrics=[("m", 0.1, 1, 1)], status="FINISHED"))
    monkeypatch.setattr(outbox, "drop", lambda numbers: None)  # killed in between
    first = writer_of(uri, sweep_id, outbox)
    poll(lambda: SWEEP in first.run_writer.ends, "the delivery")
    first.client = None
    monkeypatch.undo()
    assert writer_of(uri, sweep_id, outbox).close()
    first.close(patience=0)
    runs = runs_of(uri, sweep_id)
    runs.assert_whole()
    assert runs.history(SWEEP, "m") == [(1, 0.1)]


def test_a_run_that_was_made_twice_by_a_request_given_up_too_early_is_left_once(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    writer = writer_of(uri, sweep_id, outbox)
    outbox.put(RunUpdate(SWEEP, name="s", tags={"level": "sweep", "stage": "search"}))
    poll(lambda: SWEEP in writer.run_writer.ends, "the first run")
    kept, client = writer.run_writer.runs[SWEEP], MlflowClient(uri)
    client.create_run(writer.experiment_id, tags={"sweep_id": sweep_id, KEY_TAG: SWEEP, "level": "sweep"})
    writer.has_failed = True
    assert writer.close()
    assert [run.info.run_id for run in runs_of(uri, sweep_id).runs] == [kept]
