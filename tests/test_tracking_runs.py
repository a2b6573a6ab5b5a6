"""The runs that MLflow gets of a sweep: their tree, names, tags, metrics and ends, in a real SQLite database."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from mlflow.tracking import MlflowClient

from adcore.config import TrainConfig
from sweeps.engine.search.trial import Part
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.keys import SWEEP
from sweeps.engine.tracking.outbox import DataInput, RunUpdate
from sweeps.engine.tracking.runs import KEY_TAG
from sweeps.engine.tracking.view import links
from sweeps.engine.tracking.writer import MlflowWriter
from tests.mlflow_parts import CLASSES, report, runs_of
from tests.sweep_parts import Sweep, record_of, small_plan
from tests.sweep_process import poll


def test_the_tree_its_names_tags_params_and_metrics(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    sweep = Sweep(record_of(small_plan(CLASSES, epochs=2, configs=1)))
    trial, tracking = sweep.start(), Tracking(writer.outbox, sweep.record.plan, "mine")
    assert trial
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    tracking.log_epochs("search", [(trial.parts[0], report(1, c0=0.7, c3=0.8, c6=0.9))])
    tracking.log_epochs("search", [(trial.parts[0], report(2, c0=0.8, c3=0.9, c6=1.0))])
    tracking.close_configuration("search", 0, 0, "complete")
    tracking.open_sweep("final")
    tracking.close_sweep("complete", {"val_auroc_mean": 0.9, "test_auroc_mean": 0.8, "test_auroc_3": 0.7}, [])
    assert writer.close()

    runs = runs_of(uri, sweep_id)
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
        tracking.log_epochs("search", [(part, report(1, **{f"c{index}": 0.6 + index / 100}))])
        poll(lambda: not len(writer.outbox), "the delivery")
        poll(lambda index=index: _val(uri, sweep_id, index), "the class's own value")
        for name in ("val_auroc_mean", "val_ap_normal_mean"):
            assert (name in runs_of(uri, sweep_id).by_key["search/0/0"].data.metrics) == (index == CLASSES[-1])
    metrics = runs_of(uri, sweep_id).by_key["search/0/0"].data.metrics
    assert metrics["val_auroc_mean"] == pytest.approx(0.63)
    assert metrics["val_ap_normal_mean"] == pytest.approx(0.315)


def _val(uri: str, sweep_id: str, index: int) -> bool:
    runs = runs_of(uri, sweep_id)
    key = f"search/0/0/{index}"
    return key in runs.by_key and "val_auroc" in runs.by_key[key].data.metrics


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
    runs = runs_of(uri, sweep_id)
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
        tracking.log_epochs("confirm", [(part, report(1, c3=auroc, c6=auroc))])
        tracking.close_configuration("confirm", 1, seed, "complete")
    tracking.close_confirmed("confirm", 1, {"test_auroc_mean": 0.75}, opening=0)
    tracking.close_confirmed("confirm", 1, {"test_auroc_mean": 0.99}, opening=0)  # once per opening of the test part
    tracking.close_sweep("complete", {}, [], params={"weight_abc": 0.5}, tags={"winner": "it"})
    assert writer.close()

    runs = runs_of(uri, sweep_id)
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


def test_the_sweeps_data_and_its_table_are_in_mlflow(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    plan = small_plan(CLASSES, epochs=1, configs=1)
    tracking = Tracking(writer.outbox, plan, "table")
    tracking.inputs = [DataInput("digits", "train", "ab" * 32), DataInput("digits", "test", "cd" * 32)]
    for stage in ("search", "confirm"):
        tracking.open_sweep(stage)
    tracking.close_sweep("complete", {}, [])
    assert writer.close()
    inputs = runs_of(uri, sweep_id).by_key[SWEEP].inputs.dataset_inputs
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


def test_a_nan_is_logged_as_nan(uri: str, sweep_id: str, writer: MlflowWriter) -> None:
    sweep = Sweep(record_of(small_plan(CLASSES, epochs=3, configs=1)))
    trial, tracking = sweep.start(), Tracking(writer.outbox, sweep.record.plan, "nan")
    assert trial
    tracking.open_sweep("search")
    tracking.open_trial("search", trial.parts)
    tracking.log_epochs("search", [(trial.parts[0], report(1, c0=0.7, c3=math.nan, c6=0.9))])
    tracking.close_configuration("search", 0, 0, "diverged")
    assert writer.close()
    runs = runs_of(uri, sweep_id)
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
    found = {key: (run.data.tags["state"], run.info.status) for key, run in runs_of(uri, sweep_id).by_key.items()}
    assert found == {
        SWEEP: ("interrupted", "KILLED"),
        "search/0/0": ("stopped", "FINISHED"), "search/0/0/0": ("stopped", "FINISHED"),
        "search/1/0": ("interrupted", "KILLED"), "search/1/0/0": ("interrupted", "KILLED"),
    }  # fmt: skip


def test_artifacts_lie_beside_the_database(uri: str, sweep_id: str, writer: MlflowWriter, tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    table.write_text("a,b\n1,2\n")
    writer.outbox.put(RunUpdate(SWEEP, tags={"level": "sweep", "stage": "final"}, artifacts=[str(table)]))
    assert writer.close()
    runs = runs_of(uri, sweep_id)
    run = runs.by_key[SWEEP]
    assert run.data.tags[KEY_TAG] == SWEEP
    folder = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    assert run.info.artifact_uri.startswith(folder.as_uri())
    assert [each.path for each in runs.client.list_artifacts(run.info.run_id)] == ["results.csv"]
