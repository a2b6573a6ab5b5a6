"""How many calls of MLflow an update takes, and how many metrics go with each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from sweeps.engine.tracking.keys import SWEEP
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.writer import MlflowWriter
from tests.mlflow_parts import runs_of, writer_of
from tests.sweep_process import poll


class Counts:
    """A client that counts: the calls that write to a run, and the metrics of each batch."""

    def __init__(self, client: MlflowClient) -> None:
        self.client, self.writes, self.batches = client, list[str](), list[int]()

    def __getattr__(self, name: str) -> Any:
        if name in ("create_run", "update_run", "set_terminated", "set_tag"):
            self.writes.append(name)
        return getattr(self.client, name)

    def log_batch(self, run_id: str, metrics: Sequence[Metric], *rest: Any, **named: Any) -> None:
        self.writes.append("log_batch")
        self.batches.append(len(metrics))
        self.client.log_batch(run_id, metrics, *rest, **named)


def test_what_a_run_begins_with_is_two_calls_and_what_it_ends_with_two_more(
    uri: str, sweep_id: str, monkeypatch: pytest.MonkeyPatch, outbox: Outbox
) -> None:
    counting = Counts(MlflowClient(uri))
    monkeypatch.setattr("mlflow.tracking.MlflowClient", lambda *_, **__: counting)
    outbox.put(RunUpdate("a", None, "a", {"level": "config"}, {"w": "1"}, [("m", 1.0, 1, 1)], status="RUNNING"))
    writer = writer_of(uri, sweep_id, outbox)
    poll(lambda: not len(outbox), "the delivery")
    assert counting.writes == ["create_run", "log_batch"]
    outbox.put(RunUpdate("a", tags={"state": "complete"}, status="FINISHED"))
    assert writer.close()
    assert counting.writes[2:] == ["log_batch", "set_terminated"]
    run = runs_of(uri, sweep_id).by_key["a"]
    assert (run.info.status, run.data.tags["level"], run.data.tags["state"]) == ("FINISHED", "config", "complete")
    assert (run.data.params["w"], run.data.metrics["m"]) == ("1", 1.0)


def test_metrics_reach_mlflow_in_batches(
    uri: str, sweep_id: str, monkeypatch: pytest.MonkeyPatch, outbox: Outbox
) -> None:
    counting = Counts(MlflowClient(uri))
    monkeypatch.setattr("mlflow.tracking.MlflowClient", lambda *_, **__: counting)
    writer = writer_of(uri, sweep_id, outbox)
    writer.outbox.put(RunUpdate("warm-up", tags={"level": "x", "stage": "x"}))
    poll(lambda: "warm-up" in writer.run_writer.ends, "the first run")
    with outbox.transaction():  # what comes in together is delivered together
        for step in range(1, 31):
            outbox.put(RunUpdate("search/0/0", metrics=[(f"m{index}", 1.0, step, 1) for index in range(12)]))
    assert writer.close()
    assert [batch for batch in counting.batches if batch] == [360]


def test_more_metrics_than_one_batch_holds_all_arrive(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    metrics = [("m", float(step), step, step) for step in range(1, 1502)]
    writer.outbox.put(RunUpdate(SWEEP, tags={"level": "sweep", "stage": "search"}, metrics=metrics))
    assert writer.close()
    assert len(runs_of(uri, sweep_id).history(SWEEP, "m")) == 1501
