"""The same real sweep as MLflow shows it: its tree of runs, parameters, metrics and files."""

from __future__ import annotations

import dataclasses
import re
import statistics
from pathlib import Path

import pytest
from optuna.trial import TrialState

from adcore.config import TrainConfig
from adcore.datasets import PARTS, load
from adcore.metrics import METRICS
from adcore.train import checkpoints
from sweeps.engine.machine.code import current_code
from sweeps.engine.record.home import SweepHome
from sweeps.engine.results import test_part as final
from sweeps.gan_loss_weights import SPACE
from tests.e2e.smoke_sweep import CLASSES, CONFIGS, EPOCHS, SmokeSweep

pytestmark = pytest.mark.xdist_group("smoke")  # one sweep for all

FIELDS = {field.name for field in dataclasses.fields(TrainConfig)}
#: Settings that the GAN does not use.
UNUSED = {"dropout", "bandwidth", "latent_size", "vae_score", "reconstruction", "weight_decay"}


def test_every_configuration_ends_once_and_mlflow_agrees_with_the_study(smoke: SmokeSweep) -> None:
    smoke.mlflow.assert_whole()
    assert len(smoke.study.trials) == CONFIGS
    for trial in smoke.study.trials:
        run = smoke.mlflow.by_key[f"search/{trial.number}/0"]
        state = trial.user_attrs["state"]
        assert run.data.tags["state"] == state
        assert trial.state == {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED}[state]


def test_mlflow_holds_the_tree_of_sweep_configurations_and_classes(smoke: SmokeSweep) -> None:
    assert list(smoke.mlflow.level("sweep")) == ["sweep"]
    searched, confirmed = smoke.mlflow.level("config", "search"), smoke.mlflow.level("config", "confirm")
    assert set(searched) == {f"search/{number}/0" for number in range(CONFIGS)}
    assert len(confirmed) == 2  # the default, and the best beside it
    assert "confirm/0/1" in confirmed
    for configs, stage in ((searched, "search"), (confirmed, "confirm")):
        for key, run in configs.items():
            own = {name for name in smoke.mlflow.level("class", stage) if name.startswith(f"{key}/")}
            judged = run.data.tags.get("judged_on_classes", "")
            classes = [int(index) for index in judged.split(",")] if judged else CLASSES
            assert {f"{key}/{index}" for index in classes} <= own <= {f"{key}/{index}" for index in CLASSES}
    sweep = smoke.mlflow.by_key["sweep"]
    assert sweep.info.run_name == "t"
    assert (sweep.data.tags["stage"], sweep.data.tags["state"], sweep.data.tags["seed"]) == ("final", "complete", "0")


def test_the_sweeps_run_shows_the_winners_settings_and_the_answer(smoke: SmokeSweep) -> None:
    sweep, winner = smoke.mlflow.by_key["sweep"].data, smoke.mlflow.by_key[f"confirm/{smoke.winner}/1"]
    for name in SPACE.ranges:
        assert sweep.params[name] == winner.data.params[name]
    assert winner.info.run_name == f"t · {sweep.tags['winner']}"
    note, label = sweep.tags["mlflow.note.content"], f"**{sweep.tags['winner']}**"
    number = f" (configuration {smoke.winner})" if sweep.tags["winner"] in SPACE.points else ""
    assert note.startswith(f"{label}{number}: test AUROC {sweep.metrics['test_auroc_mean']:.4f}")
    assert "--resume t" in note
    assert "-m adcore.train" in note
    assert winner.data.metrics["test_auroc_mean"] == sweep.metrics["test_auroc_mean"]


def test_record_and_mlflow_hold_the_codes_identity_and_the_record_that_of_the_data(smoke: SmokeSweep) -> None:
    code, tags = current_code(), smoke.mlflow.by_key["sweep"].data.tags
    assert smoke.study.user_attrs["code"] == [list(code)]
    assert (tags["code_version"], tags.get("code_commit", ""), tags["code_sources"]) == code
    hashes = {part: load("digits", part).content_hash for part in PARTS}
    assert smoke.study.user_attrs["data"] == {"digits": hashes}


def test_the_winners_models_have_figures_and_decisions_in_mlflow(smoke: SmokeSweep) -> None:
    assert f"confirm/{smoke.winner}/1/0" in smoke.mlflow.by_key
    for key, run in smoke.mlflow.level("class", "confirm").items():
        files = {file.path for file in smoke.mlflow.client.list_artifacts(run.info.run_id)}
        if key.startswith(f"confirm/{smoke.winner}/1/"):
            assert {
                "roc.png",
                "scored_images.png",
                "confusion_matrix.png",
                "reconstructions.png",
                "loss_curves.png",
            } <= files
            assert 0 <= run.data.metrics["test_f1_best_f1"] <= 1
            assert run.data.metrics["threshold_best_f1"] > 0
        else:
            assert not files


def test_sampled_is_used_is_logged(smoke: SmokeSweep) -> None:
    rows = {int(row["configuration"]): row for row in smoke.rows}
    for trial in smoke.study.trials:
        assert set(trial.params) == set(SPACE.ranges)
        keys = [key for key in smoke.mlflow.by_key if re.match(rf"\w+/{trial.number}/", key)]
        assert len(keys) >= 2
        for key in keys:
            logged = smoke.mlflow.by_key[key].data.params
            assert set(logged) == FIELDS - UNUSED
            assert {name: float(logged[name]) for name in trial.params} == trial.params
            assert logged["train_seed"] == key.split("/")[2]
            assert logged["classes"] == (key.split("/")[3] if key.count("/") == 3 else "6,0,3")
        assert {name: float(rows[trial.number][name]) for name in trial.params} == trial.params
    for key, run in smoke.mlflow.level("config", "confirm").items():
        number, seed = (int(part) for part in key.split("/")[1:])
        [used] = checkpoints.read(SweepHome(smoke.home).checkpoint(number, CLASSES[0], seed))  # the worker wrote it
        logged = {name: str(value) for name, value in dataclasses.asdict(used.config).items() if name != "classes"}
        assert {name: value for name, value in run.data.params.items() if name != "classes"}.items() <= logged.items()


def test_metrics_stand_at_every_epoch_and_a_mean_is_over_all_classes(smoke: SmokeSweep) -> None:
    last = []
    for trial in smoke.study.trials:
        key = f"search/{trial.number}/0"
        found = smoke.mlflow.by_key[key].data.metrics
        means = dict(smoke.mlflow.history(key, "val_auroc_mean")) if "val_auroc_mean" in found else {}
        assert list(means) == list(range(1, len(means) + 1))
        for step, mean in means.items():
            values = [dict(smoke.mlflow.history(f"{key}/{index}", "val_auroc"))[step] for index in CLASSES]
            own = [dict(smoke.mlflow.history(key, f"val_auroc_{index}"))[step] for index in CLASSES]
            assert own == values
            assert mean == pytest.approx(statistics.fmean(values), abs=1e-12)
            spread = dict(smoke.mlflow.history(key, "val_auroc_std"))[step]
            assert spread == pytest.approx(statistics.stdev(values), abs=1e-12)
            for metric in METRICS:
                values = [dict(smoke.mlflow.history(f"{key}/{index}", f"val_{metric}"))[step] for index in CLASSES]
                logged = dict(smoke.mlflow.history(key, f"val_{metric}_mean"))[step]
                assert logged == pytest.approx(statistics.fmean(values), abs=1e-12)
        run = smoke.mlflow.by_key[key]
        if trial.state == TrialState.COMPLETE:
            assert len(means) == EPOCHS
            assert means[EPOCHS] == trial.value
            last.append(trial.number)
        else:
            assert len(means) < EPOCHS
            assert float(run.data.metrics["rung"]) < 4
    assert last, "no configuration was trained to the end"


def test_the_test_part_is_scored_once_and_stands_on_the_sweeps_run_and_the_winners_models(
    smoke: SmokeSweep,
) -> None:
    names = {f"test_{metric}_{ending}" for metric in METRICS for ending in ("mean", *CLASSES)}
    names |= {"test_auroc_mean_low", "test_auroc_mean_high"}
    for key, run in smoke.mlflow.by_key.items():
        found = {name for name in run.data.metrics if name.startswith("test")}
        if key.startswith(f"confirm/{smoke.winner}/1/"):
            assert {f"test_{metric}" for metric in METRICS} <= found
        else:
            own = {"test_auroc_mean"} if run.data.tags["level"] == "config" and key.startswith("confirm") else set()
            assert found == (names if key == "sweep" else own)
    values = {name: smoke.mlflow.history("sweep", name) for name in names}
    assert all(len(history) == 1 for history in values.values())
    assert len(smoke.study.user_attrs["test_openings"]) == 1
    stored = final.TestResult.from_record(smoke.study.user_attrs["test"])
    keys = smoke.mlflow.level("config", "confirm")
    assert set(stored.measured) == {tuple(map(int, key.split("/")[1:])) for key in keys}, "every confirmed model"
    own = stored.measured[smoke.winner, 1]
    for metric in METRICS:
        for index in CLASSES:
            assert values[f"test_{metric}_{index}"] == [(0, own[index][metric])]
        [(_, mean)] = values[f"test_{metric}_mean"]
        assert mean == pytest.approx(statistics.fmean(own[index][metric] for index in CLASSES))
    [(_, mean)], [(_, low)], [(_, high)] = (values[f"test_auroc_mean{end}"] for end in ("", "_low", "_high"))
    assert low < mean < high
    assert f"{mean:.4f}" in smoke.out
    assert "within noise" in smoke.out or "beyond noise" in smoke.out


def test_the_sweeps_run_has_table_figure_and_study(smoke: SmokeSweep) -> None:
    run = smoke.mlflow.by_key["sweep"].info
    found = {each.path: each.file_size for each in smoke.mlflow.client.list_artifacts(run.run_id)}
    [model] = [name for name in found if name.startswith("model-")]
    assert set(found) == {"results.csv", "results.json", "auroc_by_class.png", "study.db", model, "report.html"}
    assert all(size for name, size in found.items() if name != model)
    assert found["results.csv"] == (smoke.home / "results.csv").stat().st_size
    assert Path(smoke.home / "auroc_by_class.png").read_bytes().startswith(b"\x89PNG")


def test_the_winner_has_the_best_confirmed_mean(smoke: SmokeSweep) -> None:
    means = {
        int(key.split("/")[1]): dict(smoke.mlflow.history(key, "val_auroc_mean"))[EPOCHS]
        for key in smoke.mlflow.level("config", "confirm")
    }
    best = max(means, key=lambda number: (means[number], -number))
    assert re.search(rf"^winner: configuration {best}( \(.+\))?$", smoke.out, re.M)
    assert smoke.mlflow.by_key["sweep"].data.metrics["val_auroc_mean"] == pytest.approx(means[best], abs=1e-12)
