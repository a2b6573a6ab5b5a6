"""What MLflow is told, and how it is delivered: to a real SQLite database, from the writer's own thread."""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from adcore.config import TrainConfig
from adcore.errors import UserError
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.keys import SWEEP, run_key
from sweeps.engine.tracking.outbox import DataInput, Outbox, RunUpdate
from sweeps.engine.tracking.runs import KEY_TAG, require_known_runs
from sweeps.engine.tracking.view import links
from sweeps.engine.tracking.writer import MlflowWriter
from tests.sweep_parts import Sweep, record_of, small_plan
from tests.sweep_process import MlflowRuns, poll

CLASSES = (0, 3, 6)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for the module: making one takes ten seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    MlflowClient(uri).search_experiments()
    return uri


@pytest.fixture
def sweep_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


@pytest.fixture
def writer(uri: str, sweep_id: str, outbox: Outbox) -> Iterator[MlflowWriter]:
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    yield writer
    writer.close()


def _runs(uri: str, sweep_id: str) -> MlflowRuns:
    return MlflowRuns(uri, "test", sweep_id)


def _report(epoch: int, **aurocs: float) -> dict[str, float]:
    """An epoch's metrics, as train() reports them: aurocs by class, c0=0.9."""
    values = {int(name[1:]): value for name, value in aurocs.items()}
    losses = {f"loss_abc_{index}": index + 0.5 for index in values}
    own = {f"val_auroc_{index}": value for index, value in values.items()}
    own |= {f"val_ap_normal_{index}": value / 2 for index, value in values.items()}
    return {
        "epoch": float(epoch),
        "images_per_second": 100.0,
        "val_auroc_mean": 0.0,
        "val_ap_normal_mean": 0.0,
        **own,
        **losses,
    }


def test_the_tree_its_names_tags_params_and_metrics(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    sweep = Sweep(record_of(small_plan(CLASSES, epochs=2, configs=1)))
    trial, tracking = sweep.start(), Tracking(writer.outbox, sweep.record.plan, "mine")
    assert trial
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    tracking.log_epochs("search", [(trial.parts[0], _report(1, c0=0.7, c3=0.8, c6=0.9))])
    tracking.log_epochs("search", [(trial.parts[0], _report(2, c0=0.8, c3=0.9, c6=1.0))])
    tracking.close_configuration("search", 0, 0, "complete")
    tracking.open_sweep("final")
    tracking.close_sweep("complete", {"val_auroc_mean": 0.9, "test_auroc_mean": 0.8, "test_auroc_3": 0.7}, [])
    assert writer.close()

    runs = _runs(uri, sweep_id)
    runs.assert_whole()
    config, classes = "search/0/0", [f"search/0/0/{index}" for index in CLASSES]
    assert set(runs.by_key) == {SWEEP, config, *classes}
    assert [runs.by_key[key].info.run_name for key in (SWEEP, config, classes[1])] == [
        "mine", "mine · search default", "mine · search default · class 3",
    ]  # fmt: skip
    for key, level, stage in [(SWEEP, "sweep", "final"), (config, "config", "search"), (classes[0], "class", "search")]:
        tags = runs.by_key[key].data.tags
        assert (tags["level"], tags["stage"], tags["state"], tags["seed"]) == (level, stage, "complete", "0")
    others = {"dropout", "bandwidth", "latent_size", "vae_score", "reconstruction", "weight_decay"}
    fields = set(TrainConfig.__dataclass_fields__) - others
    for key in (config, *classes):
        assert set(runs.by_key[key].data.params) == fields, "no setting that this detector does not use"
    assert not set(runs.by_key[SWEEP].data.params) & set(sweep.record.plan.space.names), "before there is a winner"
    assert runs.by_key[config].data.params["weight_abc"] == "2.0"
    assert runs.by_key[classes[2]].data.params["classes"] == "6"

    assert runs.history(classes[1], "val_auroc") == [(1, 0.8), (2, 0.9)]
    assert runs.history(classes[1], "val_ap_normal") == [(1, 0.4), (2, 0.45)]
    assert runs.history(classes[1], "loss_abc") == [(1, 3.5), (2, 3.5)]
    assert runs.history(config, "val_auroc_3") == [(1, 0.8), (2, 0.9)]
    assert dict(runs.history(config, "val_auroc_mean")) == pytest.approx({1: 0.8, 2: 0.9})
    assert dict(runs.history(config, "val_ap_normal_mean")) == pytest.approx({1: 0.4, 2: 0.45})
    assert "val_ap_normal_3" not in runs.by_key[config].data.metrics, "by class it stands on the class's run"
    assert dict(runs.history(config, "val_auroc_std")) == pytest.approx({1: 0.1, 2: 0.1})
    assert runs.history(SWEEP, "test_auroc_mean") == [(0, 0.8)]
    assert runs.history(SWEEP, "test_auroc_3") == [(0, 0.7)]


def test_the_mean_is_logged_when_the_last_class_is_there(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    plan = small_plan(CLASSES, epochs=1, configs=1)
    tracking = Tracking(writer.outbox, plan, "split")
    tracking.open_sweep("search")
    for index in CLASSES:
        part = Part(0, dataclasses.replace(plan.base, classes=(index,)))
        tracking.open_trial("search", [part])
        tracking.log_epochs("search", [(part, _report(1, **{f"c{index}": 0.6 + index / 100}))])
        poll(lambda: not len(writer.outbox), "the delivery")
        poll(lambda index=index: _val(uri, sweep_id, index), "the class's own value")
        for name in ("val_auroc_mean", "val_ap_normal_mean"):
            assert (name in _runs(uri, sweep_id).by_key["search/0/0"].data.metrics) == (index == CLASSES[-1])
    metrics = _runs(uri, sweep_id).by_key["search/0/0"].data.metrics
    assert metrics["val_auroc_mean"] == pytest.approx(0.63)
    assert metrics["val_ap_normal_mean"] == pytest.approx(0.315)


def test_a_configuration_shows_how_far_it_came_and_what_it_was_judged_on(
    uri: str, sweep_id: str, writer: MlflowWriter
) -> None:
    plan = small_plan(CLASSES, epochs=1, configs=1)
    tracking = Tracking(writer.outbox, plan, "ladder")
    tracking.open_sweep("search")
    tracking.open_trial("search", [Part(0, plan.base)])
    for _ in range(2):  # a resumed sweep tells it again
        tracking.log_rung("search", 0, 0, rung=1, value=0.8, classes=[6])
        tracking.log_rung("search", 0, 0, rung=2, value=0.7, classes=[6, 3])
    assert writer.close()
    runs = _runs(uri, sweep_id)
    assert runs.history("search/0/0", "val_auroc_at_rung") == [(1, 0.8), (2, 0.7)]
    tags = runs.by_key["search/0/0"].data.tags
    assert (tags["rung"], tags["judged_on_classes"]) == ("2", "6,3")


def test_a_confirmed_configuration_has_a_row_of_its_own_above_its_seeds(
    uri: str, sweep_id: str, writer: MlflowWriter
) -> None:
    plan = dataclasses.replace(small_plan((3, 6), epochs=1, configs=2), seeds=2)
    tracking = Tracking(writer.outbox, plan, "mine")
    tracking.open_sweep("confirm")
    for seed, auroc in ((1, 0.7), (2, 0.9)):
        part = Part(1, dataclasses.replace(plan.base, train_seed=seed, weight_abc=0.5, weight_adversarial_normal=0.5))
        tracking.open_trial("confirm", [part])
        tracking.log_epochs("confirm", [(part, _report(1, c3=auroc, c6=auroc))])
        tracking.close_configuration("confirm", 1, seed, "complete")
    tracking.close_confirmed("confirm", 1, {"test_auroc_mean": 0.75}, opening=0)
    tracking.close_confirmed("confirm", 1, {"test_auroc_mean": 0.99}, opening=0)  # once per opening of the test part
    tracking.close_sweep("complete", {}, [], params={"weight_abc": 0.5}, tags={"winner": "it"})
    assert writer.close()

    runs = _runs(uri, sweep_id)
    assert set(runs.by_key) == {
        SWEEP, "confirm/1", *(f"confirm/1/{seed}{end}" for seed in (1, 2) for end in ("", "/3", "/6")),
    }  # fmt: skip
    config, seed = runs.by_key["confirm/1"], runs.by_key["confirm/1/2"]
    assert (config.data.tags["level"], seed.data.tags["level"]) == ("config", "seed")
    assert seed.data.tags["mlflow.parentRunId"] == config.info.run_id
    assert config.info.run_name == "mine · 001 · lr 0.001 · adversarial normal 0.5"
    assert seed.info.run_name == f"{config.info.run_name} · seed 2"
    assert runs.by_key["confirm/1/2/6"].info.run_name == f"{seed.info.run_name} · class 6"
    assert config.data.metrics["val_auroc_mean"] == pytest.approx(0.8)
    assert config.data.metrics["val_auroc_seed_std"] == pytest.approx(math.sqrt(0.02))
    assert config.data.metrics["test_auroc_mean"] == 0.75
    assert {run.info.status for run in runs.runs} == {"FINISHED"}
    assert runs.by_key[SWEEP].data.params["weight_abc"] == "0.5"


def test_a_finished_run_keeps_its_end_and_its_parameters_when_it_is_told_again(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan(CLASSES, epochs=1, configs=1)
    ends: list[int] = []
    for weight in (0.5, 0.7):
        writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
        tracking = Tracking(outbox, plan, "again")
        if not ends:
            tracking.open_sweep("final")
        tracking.close_sweep("complete", {"test_auroc_mean": 0.9}, [], params={"weight_abc": weight})
        assert writer.close()
        sweep = _runs(uri, sweep_id).by_key[SWEEP]
        ends.append(sweep.info.end_time)
        assert sweep.data.params["weight_abc"] == "0.5", "MLflow refuses to change a parameter"
        time.sleep(0.01)
    assert ends[0] == ends[1]


def test_the_sweeps_data_and_its_table_are_in_mlflow(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    plan = small_plan(CLASSES, epochs=1, configs=1)
    tracking = Tracking(writer.outbox, plan, "table")
    tracking.inputs = [DataInput("digits", "train", "ab" * 32), DataInput("digits", "test", "cd" * 32)]
    for stage in ("search", "confirm"):
        tracking.open_sweep(stage)
    tracking.close_sweep("complete", {}, [])
    assert writer.close()
    inputs = _runs(uri, sweep_id).by_key[SWEEP].inputs.dataset_inputs
    found = {(each.dataset.name, each.dataset.digest, each.tags[0].value) for each in inputs}
    assert found == {("digits", ("ab" * 32)[:36], "train"), ("digits", ("cd" * 32)[:36], "test")}

    link = writer.link("table")
    address, query = link.split("?")
    assert address == f"http://127.0.0.1:5000/#/experiments/{writer.experiment_id}/runs"
    key = parse_qs(query)["viewStateShareKey"][0]
    experiment = MlflowClient(uri).get_experiment(writer.experiment_id)
    view = json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])
    assert "params.`weight_abc`" in view["selectedColumns"]
    assert sweep_id in view["searchFilter"]
    assert dict(links(uri, "http://127.0.0.1:5000"))["table"] == link


def _val(uri: str, sweep_id: str, index: int) -> bool:
    runs = _runs(uri, sweep_id)
    key = f"search/0/0/{index}"
    return key in runs.by_key and "val_auroc" in runs.by_key[key].data.metrics


def test_a_nan_is_logged_as_nan(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    sweep = Sweep(record_of(small_plan(CLASSES, epochs=3, configs=1)))
    trial, tracking = sweep.start(), Tracking(writer.outbox, sweep.record.plan, "nan")
    assert trial
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    tracking.log_epochs("search", [(trial.parts[0], _report(1, c0=0.7, c3=math.nan, c6=0.9))])
    tracking.close_configuration("search", 0, 0, "diverged")
    assert writer.close()
    runs = _runs(uri, sweep_id)
    ((step, value),) = runs.history("search/0/0/3", "val_auroc")
    assert (step, math.isnan(value)) == (1, True)
    for name in ("val_auroc_mean", "val_ap_normal_mean", "val_auroc_std"):
        assert math.isnan(runs.by_key["search/0/0"].data.metrics[name]), "never a mean over the rest"
    assert runs.history("search/0/0/6", "val_auroc") == [(1, 0.9)]
    assert runs.by_key["search/0/0"].data.tags["state"] == "diverged"
    assert runs.by_key["search/0/0"].info.status == "FAILED"


def test_interrupted_runs_are_marked_and_ended_ones_left_alone(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    plan = small_plan((0,), epochs=1, configs=2)
    tracking = Tracking(writer.outbox, plan, "stop")
    tracking.open_sweep("search")
    tracking.open_trial("search", [Part(number, plan.base) for number in range(2)])
    tracking.close_configuration("search", 0, 0, "stopped")
    tracking.interrupt()
    assert writer.close()
    found = {key: (run.data.tags["state"], run.info.status) for key, run in _runs(uri, sweep_id).by_key.items()}
    assert found == {
        SWEEP: ("interrupted", "KILLED"),
        "search/0/0": ("stopped", "FINISHED"), "search/0/0/0": ("stopped", "FINISHED"),
        "search/1/0": ("interrupted", "KILLED"), "search/1/0/0": ("interrupted", "KILLED"),
    }  # fmt: skip


@pytest.mark.parametrize(("level", "searched"), [("config", {"search/0/0"}), ("sweep", set[str]())])
def test_at_a_higher_level_the_search_has_fewer_runs_and_the_confirmation_all(
    uri: str, sweep_id: str, writer: MlflowWriter, level: str, searched: set[str]
) -> None:
    plan = dataclasses.replace(small_plan((3, 6), epochs=1, configs=1), seeds=1)
    tracking = Tracking(writer.outbox, plan, level)
    tracking.level = level
    for stage, seed in (("search", 0), ("confirm", 1)):
        tracking.open_sweep(stage)
        part = Part(0, dataclasses.replace(plan.base, train_seed=seed))
        tracking.open_trial(stage, [part])
        tracking.log_epochs(stage, [(part, _report(1, c3=0.7, c6=0.9))])
        if stage == "search":
            tracking.log_rung(stage, 0, seed, rung=1, value=0.8, classes=[3, 6])
        tracking.close_configuration(stage, 0, seed, "complete")
    tracking.close_sweep("complete", {}, [])
    assert writer.close()
    runs = _runs(uri, sweep_id)
    assert set(runs.by_key) == {SWEEP, *searched, "confirm/0/1", "confirm/0/1/3", "confirm/0/1/6"}
    assert {run.info.status for run in runs.runs} == {"FINISHED"}
    for key in searched:
        metrics = runs.by_key[key].data.metrics
        assert metrics["val_auroc_mean"] == metrics["val_auroc_at_rung"] == pytest.approx(0.8)
        assert (metrics["val_auroc_3"], metrics["val_auroc_6"]) == (0.7, 0.9)


def test_runs_of_classes_that_a_sweep_had_at_another_level_end_with_their_configuration(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan((3, 6), epochs=2, configs=2)
    for level, epoch in (("class", 1), ("config", 2)):  # the first is cut short, its last runs not delivered
        tracking = Tracking(Outbox(outbox.path), plan, "s")
        tracking.level = level
        tracking.open_sweep("search")
        for number in range(epoch):
            part = Part(number, plan.base)
            tracking.open_trial("search", [part])
            tracking.log_epochs("search", [(part, _report(epoch, c3=0.7, c6=0.9))])
    for number in range(2):
        tracking.close_configuration("search", number, 0, "complete")
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    assert writer.close()
    runs = _runs(uri, sweep_id)
    assert set(runs.by_key) == {SWEEP, "search/0/0", "search/0/0/3", "search/0/0/6", "search/1/0"}
    assert {run.info.status for key, run in runs.by_key.items() if key != SWEEP} == {"FINISHED"}
    assert runs.history("search/0/0/3", "val_auroc") == [(1, 0.7)]
    assert len(runs.history("search/0/0", "val_auroc_mean")) == 2


def test_classes_have_runs_of_their_own_unless_a_search_is_large_or_the_flag_says_otherwise() -> None:
    assert [SweepSettings().level_for(configs) for configs in (160, 200, 201)] == ["class", "class", "config"]
    assert SweepSettings(mlflow_level="class").level_for(10**5) == "class"
    assert "mlflow_level" in SweepSettings.changeable, "a resume may change it"
    with pytest.raises(UserError, match="unknown mlflow level 'trial'"):
        SweepSettings(mlflow_level="trial")


def test_what_a_run_begins_with_is_two_calls_and_what_it_ends_with_two_more(
    uri: str, sweep_id: str, monkeypatch: pytest.MonkeyPatch, outbox: Outbox
) -> None:
    counting = _CountsCalls(MlflowClient(uri))
    monkeypatch.setattr("mlflow.tracking.MlflowClient", lambda *_, **__: counting)
    outbox.put(RunUpdate("a", None, "a", {"level": "config"}, {"w": "1"}, [("m", 1.0, 1, 1)], status="RUNNING"))
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    poll(lambda: not len(outbox), "the delivery")
    assert counting.writes == ["create_run", "log_batch"]
    outbox.put(RunUpdate("a", tags={"state": "complete"}, status="FINISHED"))
    assert writer.close()
    assert counting.writes[2:] == ["log_batch", "set_terminated"]
    run = _runs(uri, sweep_id).by_key["a"]
    assert (run.info.status, run.data.tags["level"], run.data.tags["state"]) == ("FINISHED", "config", "complete")
    assert (run.data.params["w"], run.data.metrics["m"]) == ("1", 1.0)


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


def test_a_runs_key_tells_stage_configuration_and_seed() -> None:
    assert run_key("confirm", 12, 3) == "confirm/12/3"


def test_merging_keeps_every_metric_and_the_latest_word() -> None:
    update = RunUpdate("a", "p", "name", {"state": "running", "x": "1"}, {"w": "2"}, [("m", 1.0, 1, 10)], [], "RUNNING")
    update.merge(RunUpdate("a", tags={"state": "complete"}, metrics=[("m", 2.0, 2, 20)], status="FINISHED"))
    assert update == RunUpdate(
        "a", "p", "name", {"state": "complete", "x": "1"}, {"w": "2"}, [("m", 1.0, 1, 10), ("m", 2.0, 2, 20)], [],
        "FINISHED",
    )  # fmt: skip


class _Dead:
    """An address of a tracking server that is down."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))  # taken, so that nobody else gets it, but nobody listens
        self.uri = f"http://127.0.0.1:{self.socket.getsockname()[1]}"


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Dead]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    dead = _Dead()
    yield dead
    dead.socket.close()


def test_a_dead_server_blocks_nothing_and_gets_everything_in_order_when_it_is_back(
    uri: str, sweep_id: str, dead: _Dead, outbox: Outbox
) -> None:
    writer = MlflowWriter(dead.uri, "test", sweep_id, outbox, period=0.05)
    try:
        started = time.monotonic()
        for step in range(1, 21):
            for key, parent in ((SWEEP, None), ("search/0/0", SWEEP), ("search/0/0/1", "search/0/0")):
                tags = {"level": key.replace("/", "-"), "stage": "search", "state": "complete"}
                writer.outbox.put(
                    RunUpdate(key, parent, key, tags, metrics=[("m", step / 10, step, step)], status="FINISHED")
                )
        assert time.monotonic() - started < 10, "the sweep never waits"
        poll(lambda: writer.error, "the first delivery to fail")
        assert [update.key for _, update in outbox.oldest(3)] == [SWEEP, "search/0/0", "search/0/0/1"], "parents first"
        writer.uri = uri  # the server is back
        poll(lambda: writer.error is None and not len(writer.outbox), "the delivery")
    finally:
        assert writer.close()
    runs = _runs(uri, sweep_id)
    runs.assert_whole()
    for key in (SWEEP, "search/0/0", "search/0/0/1"):
        assert runs.history(key, "m") == [(step, step / 10) for step in range(1, 21)]


def test_a_writer_that_could_not_deliver_says_so(sweep_id: str, dead: _Dead, outbox: Outbox) -> None:
    writer = MlflowWriter(dead.uri, "test", sweep_id, outbox, period=0.05)
    writer.outbox.put(RunUpdate(SWEEP, name="lost"))
    assert not writer.close(patience=3)
    assert writer.error


class _FailsTwice:
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
    failing = _FailsTwice(MlflowClient(uri))
    monkeypatch.setattr("mlflow.tracking.MlflowClient", lambda *_, **__: failing)
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    writer.outbox.put(RunUpdate("warm-up", tags={"level": "x", "stage": "x"}))
    poll(lambda: "warm-up" in writer.run_writer.ends, "the first run")
    failing.left = 2
    tags = {"level": "sweep", "stage": "search", "state": "complete"}
    writer.outbox.put(RunUpdate(SWEEP, name="s", tags=tags, metrics=[("m", 1.0, 1, 1)]))
    writer.outbox.put(RunUpdate(SWEEP, metrics=[("m", 2.0, 2, 2)], status="FINISHED"))
    assert writer.close()
    assert failing.left == 0, "it was tried and failed twice"
    runs = _runs(uri, sweep_id)
    assert runs.history(SWEEP, "m") == [(1, 1.0), (2, 2.0)]
    assert set(runs.by_key) == {"warm-up", SWEEP}


def test_a_second_driver_goes_on_with_the_same_runs_and_repeats_no_step(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan((0,), epochs=3, configs=1)
    first, sweep = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05), Sweep(record_of(plan))
    trial, tracking = sweep.start(), Tracking(outbox, plan, "s")
    assert trial
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    for epoch in (1, 2):
        tracking.log_epochs("search", [(trial.parts[0], _report(epoch, c0=epoch / 10))])
        # a worker that was started again
        tracking.log_epochs("search", [(trial.parts[0], _report(epoch, c0=epoch / 10))])
    assert first.close()
    before = _runs(uri, sweep_id)

    again = Outbox(outbox.path)
    second, tracking = MlflowWriter(uri, "test", sweep_id, again, period=0.05), Tracking(again, plan, "s")
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    for epoch in (1, 2, 3):
        tracking.log_epochs("search", [(trial.parts[0], _report(epoch, c0=epoch / 10))])
    tracking.close_configuration("search", 0, 0, "complete")
    for _ in range(2):  # a finished sweep that is resumed prints its figures once more
        tracking.close_sweep("complete", {"test_auroc_mean": 0.9}, [])
    assert second.close()
    runs = _runs(uri, sweep_id)
    runs.assert_whole()
    for key, run in before.by_key.items():
        assert runs.by_key[key].info.run_id == run.info.run_id
    assert runs.history("search/0/0/0", "val_auroc") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert runs.history(SWEEP, "test_auroc_mean") == [(0, 0.9)]


def test_classes_that_were_reported_before_and_after_a_kill_have_their_mean(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    plan = small_plan((0, 3), epochs=1, configs=1)
    for index, box in zip((0, 3), (outbox, Outbox(outbox.path)), strict=True):
        part, tracking = Part(0, dataclasses.replace(plan.base, classes=(index,))), Tracking(box, plan, "split")
        tracking.open_sweep("search")
        tracking.open_trial("search", [part])
        tracking.log_epochs("search", [(part, _report(1, **{f"c{index}": 0.6 + index / 100}))])
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    assert writer.close()
    assert _runs(uri, sweep_id).by_key["search/0/0"].data.metrics["val_auroc_mean"] == pytest.approx(0.615)


def test_what_was_delivered_but_not_dropped_is_delivered_again_without_a_trace(
    uri: str, sweep_id: str, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {"level": "sweep", "stage": "search", "state": "complete"}
    outbox.put(RunUpdate(SWEEP, name="s", tags=tags, params={"w": "1"}, metrics=[("m", 0.1, 1, 1)], status="FINISHED"))
    monkeypatch.setattr(outbox, "drop", lambda numbers: None)  # killed in between
    first = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    poll(lambda: SWEEP in first.run_writer.ends, "the delivery")
    first.client = None
    monkeypatch.undo()
    assert MlflowWriter(uri, "test", sweep_id, outbox, period=0.05).close()
    first.close(patience=0)
    runs = _runs(uri, sweep_id)
    runs.assert_whole()
    assert runs.history(SWEEP, "m") == [(1, 0.1)]


def test_a_run_that_was_made_twice_by_a_request_given_up_too_early_is_left_once(
    uri: str, sweep_id: str, outbox: Outbox
) -> None:
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    outbox.put(RunUpdate(SWEEP, name="s", tags={"level": "sweep", "stage": "search"}))
    poll(lambda: SWEEP in writer.run_writer.ends, "the first run")
    kept, client = writer.run_writer.runs[SWEEP], MlflowClient(uri)
    client.create_run(writer.experiment_id, tags={"sweep_id": sweep_id, KEY_TAG: SWEEP, "level": "sweep"})
    writer.has_failed = True
    assert writer.close()
    assert [run.info.run_id for run in _runs(uri, sweep_id).runs] == [kept]


def test_runs_that_the_outbox_knows_and_mlflow_does_not_are_named(
    uri: str, sweep_id: str, outbox: Outbox, writer: MlflowWriter
) -> None:
    outbox.put(RunUpdate(SWEEP, name="s", tags={"level": "sweep", "stage": "search"}))
    poll(lambda: SWEEP in writer.run_writer.ends, "the run")
    require_known_runs(uri, "test", sweep_id, outbox)
    outbox.note_run("search/0/0", "0123456789abcdef")
    with pytest.raises(UserError, match=r"1 of this sweep's 2 runs are not there") as refused:
        require_known_runs(uri, "test", sweep_id, outbox)
    assert str(outbox.path) in str(refused.value)
    other = outbox.path.with_name("other.db")
    with pytest.raises(UserError, match=r"2 of this sweep's 2 runs are not there"):
        require_known_runs(f"sqlite:///{other}", "test", sweep_id, outbox)
    assert not other.exists()
    writer.client = None  # as after a failure
    poll(lambda: writer.run_writer.refusals, "another connection")
    outbox.put(RunUpdate("search/0/0", SWEEP, metrics=[("m", 1.0, 1, 1)]))
    assert not writer.close(patience=3), "nor is it made again by a sweep that was under way"
    assert "its run 0123456789abcdef is gone" in writer.reason
    assert set(_runs(uri, sweep_id).by_key) == {SWEEP}


def test_another_sweep_of_the_same_experiment_has_runs_of_its_own(uri: str, sweep_id: str, tmp_path: Path) -> None:
    other = uuid.uuid4().hex
    for each in (sweep_id, other):
        writer = MlflowWriter(uri, "test", each, Outbox(tmp_path / f"{each}.db"), period=0.05)
        writer.outbox.put(RunUpdate(SWEEP, name=each, tags={"level": "sweep", "stage": "search"}))
        assert writer.close()
    ids = [_runs(uri, each).by_key[SWEEP].info.run_id for each in (sweep_id, other)]
    assert len(set(ids)) == 2


def test_more_metrics_than_one_batch_holds_all_arrive(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    metrics = [("m", float(step), step, step) for step in range(1, 1502)]
    writer.outbox.put(RunUpdate(SWEEP, tags={"level": "sweep", "stage": "search"}, metrics=metrics))
    assert writer.close()
    assert len(_runs(uri, sweep_id).history(SWEEP, "m")) == 1501


def test_artifacts_lie_beside_the_database(uri: str, sweep_id: str, writer: MlflowWriter, tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    table.write_text("a,b\n1,2\n")
    writer.outbox.put(RunUpdate(SWEEP, tags={"level": "sweep", "stage": "final"}, artifacts=[str(table)]))
    assert writer.close()
    runs = _runs(uri, sweep_id)
    run = runs.by_key[SWEEP]
    assert run.data.tags[KEY_TAG] == SWEEP
    folder = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    assert run.info.artifact_uri.startswith(folder.as_uri())
    assert [each.path for each in runs.client.list_artifacts(run.info.run_id)] == ["results.csv"]


def test_metrics_reach_mlflow_in_batches(
    uri: str, sweep_id: str, monkeypatch: pytest.MonkeyPatch, outbox: Outbox
) -> None:
    counting = _CountsBatches(MlflowClient(uri))
    monkeypatch.setattr("mlflow.tracking.MlflowClient", lambda *_, **__: counting)
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    writer.outbox.put(RunUpdate("warm-up", tags={"level": "x", "stage": "x"}))
    poll(lambda: "warm-up" in writer.run_writer.ends, "the first run")
    with outbox.transaction():  # what comes in together is delivered together
        for step in range(1, 31):
            outbox.put(RunUpdate("search/0/0", metrics=[(f"m{index}", 1.0, step, 1) for index in range(12)]))
    assert writer.close()
    assert [len(batch) for batch in counting.batches if batch] == [360]


class _CountsCalls:
    """The names of the calls that write to a run."""

    def __init__(self, client: MlflowClient) -> None:
        self.client, self.writes = client, list[str]()

    def __getattr__(self, name: str) -> Any:
        if name in ("create_run", "log_batch", "update_run", "set_terminated", "set_tag"):
            self.writes.append(name)
        return getattr(self.client, name)


class _CountsBatches:
    def __init__(self, client: MlflowClient) -> None:
        self.client = client
        self.batches: list[list[Metric]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def log_batch(self, run_id: str, metrics: list[Metric], *rest: Any, **named: Any) -> None:
        self.batches.append(list(metrics))
        self.client.log_batch(run_id, metrics, *rest, **named)
