"""One real sweep on a local Ray: exit code, MLflow, the table, and the printed commands; and one with a failure."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from adcore.config import TrainConfig
from adcore.datasets import PARTS, load
from adcore.metrics import METRICS
from adcore.train import checkpoints
from sweeps.engine.machine.code import current_code
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.study import open_study
from sweeps.engine.results import test_part as final
from sweeps.gan_loss_weights import SPACE
from tests.e2e.browser import chromium
from tests.sweep_process import HANGS, ROOT, MlflowRuns, SweepProcess

pytestmark = pytest.mark.xdist_group("smoke")  # one sweep for all

CLASSES, CONFIGS, EPOCHS = (0, 3, 6), 4, 2
FIELDS = {field.name for field in dataclasses.fields(TrainConfig)}
#: Settings that the GAN does not use.
UNUSED = {"dropout", "bandwidth", "latent_size", "vae_score", "reconstruction", "weight_decay"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("smoke")
    arguments = ["--scale", "smoke", "--normal-class", "6,0,3", "--configs", str(CONFIGS), "--epochs", str(EPOCHS)]
    notebook = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # is not installed: no trial may import it
    sweep = SweepProcess(folder, *arguments, "--name", "t", env=notebook)
    try:
        code = sweep.wait()
        assert code == 0, f"{sweep.out}\n{sweep.err}"
        home = folder / "runs" / "t"
        study = open_study(home / "study.db", create=False)
        with (home / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
        yield SimpleNamespace(
            home=home, out=sweep.out, err=sweep.err, mlflow=MlflowRuns(sweep.uri), study=study, rows=rows
        )
    finally:
        sweep.end()


def test_the_output_is_plain_lines_without_a_traceback(swept: SimpleNamespace) -> None:
    assert swept.err == ""
    assert "\x1b" not in swept.out
    assert "search: 4 of 4 configurations begun" in swept.out
    assert "Traceback" not in swept.out


def test_every_configuration_ends_once_and_mlflow_agrees_with_the_study(swept: SimpleNamespace) -> None:
    swept.mlflow.assert_whole()
    assert len(swept.study.trials) == CONFIGS
    for trial in swept.study.trials:
        run = swept.mlflow.by_key[f"search/{trial.number}/0"]
        state = trial.user_attrs["state"]
        assert run.data.tags["state"] == state
        assert trial.state == {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED}[state]


def test_mlflow_holds_the_tree_of_sweep_configurations_and_classes(swept: SimpleNamespace) -> None:
    assert list(swept.mlflow.level("sweep")) == ["sweep"]
    searched, confirmed = swept.mlflow.level("config", "search"), swept.mlflow.level("config", "confirm")
    assert set(searched) == {f"search/{number}/0" for number in range(CONFIGS)}
    assert len(confirmed) == 2  # the default, and the best beside it
    assert "confirm/0/1" in confirmed
    for configs, stage in ((searched, "search"), (confirmed, "confirm")):
        for key, run in configs.items():
            own = {name for name in swept.mlflow.level("class", stage) if name.startswith(f"{key}/")}
            judged = run.data.tags.get("judged_on_classes", "")
            classes = [int(index) for index in judged.split(",")] if judged else CLASSES
            assert {f"{key}/{index}" for index in classes} <= own <= {f"{key}/{index}" for index in CLASSES}
    sweep = swept.mlflow.by_key["sweep"]
    assert sweep.info.run_name == "t"
    assert (sweep.data.tags["stage"], sweep.data.tags["state"], sweep.data.tags["seed"]) == ("final", "complete", "0")


def test_the_sweeps_run_shows_the_winners_settings_and_the_answer(swept: SimpleNamespace) -> None:
    sweep, winner = swept.mlflow.by_key["sweep"].data, swept.mlflow.by_key[f"confirm/{_winner(swept)}/1"]
    for name in SPACE.ranges:
        assert sweep.params[name] == winner.data.params[name]
    assert winner.info.run_name == f"t · {sweep.tags['winner']}"
    note = sweep.tags["mlflow.note.content"]
    assert note.startswith(f"**{sweep.tags['winner']}**: test AUROC {sweep.metrics['test_auroc_mean']:.4f}")
    assert "--resume t" in note
    assert "-m adcore.train" in note
    assert winner.data.metrics["test_auroc_mean"] == sweep.metrics["test_auroc_mean"]


def test_record_and_mlflow_hold_the_codes_identity_and_the_record_that_of_the_data(swept: SimpleNamespace) -> None:
    code, tags = current_code(), swept.mlflow.by_key["sweep"].data.tags
    assert swept.study.user_attrs["code"] == [list(code)]
    assert (tags["code_version"], tags.get("code_commit", ""), tags["code_sources"]) == code
    hashes = {part: load("digits", part).content_hash for part in PARTS}
    assert swept.study.user_attrs["data"] == {"digits": hashes}


def test_the_winners_models_have_figures_and_decisions_in_mlflow(swept: SimpleNamespace) -> None:
    assert f"confirm/{_winner(swept)}/1/0" in swept.mlflow.by_key
    for key, run in swept.mlflow.level("class", "confirm").items():
        files = {file.path for file in swept.mlflow.client.list_artifacts(run.info.run_id)}
        if key.startswith(f"confirm/{_winner(swept)}/1/"):
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


def test_sampled_is_used_is_logged(swept: SimpleNamespace) -> None:
    rows = {int(row["configuration"]): row for row in swept.rows}
    for trial in swept.study.trials:
        assert set(trial.params) == set(SPACE.ranges)
        keys = [key for key in swept.mlflow.by_key if re.match(rf"\w+/{trial.number}/", key)]
        assert len(keys) >= 2
        for key in keys:
            logged = swept.mlflow.by_key[key].data.params
            assert set(logged) == FIELDS - UNUSED
            assert {name: float(logged[name]) for name in trial.params} == trial.params
            assert logged["train_seed"] == key.split("/")[2]
            assert logged["classes"] == (key.split("/")[3] if key.count("/") == 3 else "6,0,3")
        assert {name: float(rows[trial.number][name]) for name in trial.params} == trial.params
    for key, run in swept.mlflow.level("config", "confirm").items():
        number, seed = (int(part) for part in key.split("/")[1:])
        [used] = checkpoints.read(SweepHome(swept.home).checkpoint(number, CLASSES[0], seed))  # the worker wrote it
        logged = {name: str(value) for name, value in dataclasses.asdict(used.config).items() if name != "classes"}
        assert {name: value for name, value in run.data.params.items() if name != "classes"}.items() <= logged.items()


def test_metrics_stand_at_every_epoch_and_a_mean_is_over_all_classes(swept: SimpleNamespace) -> None:
    last = []
    for trial in swept.study.trials:
        key = f"search/{trial.number}/0"
        found = swept.mlflow.by_key[key].data.metrics
        means = dict(swept.mlflow.history(key, "val_auroc_mean")) if "val_auroc_mean" in found else {}
        assert list(means) == list(range(1, len(means) + 1))
        for step, mean in means.items():
            values = [dict(swept.mlflow.history(f"{key}/{index}", "val_auroc"))[step] for index in CLASSES]
            own = [dict(swept.mlflow.history(key, f"val_auroc_{index}"))[step] for index in CLASSES]
            assert own == values
            assert mean == pytest.approx(statistics.fmean(values), abs=1e-12)
            spread = dict(swept.mlflow.history(key, "val_auroc_std"))[step]
            assert spread == pytest.approx(statistics.stdev(values), abs=1e-12)
            for metric in METRICS:
                values = [dict(swept.mlflow.history(f"{key}/{index}", f"val_{metric}"))[step] for index in CLASSES]
                logged = dict(swept.mlflow.history(key, f"val_{metric}_mean"))[step]
                assert logged == pytest.approx(statistics.fmean(values), abs=1e-12)
        run = swept.mlflow.by_key[key]
        if trial.state == TrialState.COMPLETE:
            assert len(means) == EPOCHS
            assert means[EPOCHS] == trial.value
            last.append(trial.number)
        else:
            assert len(means) < EPOCHS
            assert float(run.data.metrics["rung"]) < 4
    assert last, "no configuration was trained to the end"


def test_the_table_has_a_row_per_configuration_best_first(swept: SimpleNamespace) -> None:
    assert sorted(int(row["configuration"]) for row in swept.rows) == list(range(CONFIGS))
    whole = [row for row in swept.rows if row["state"] == "complete"]
    assert swept.rows[: len(whole)] == whole
    means = [float(row["val_auroc_mean"]) for row in whole]
    assert means == sorted(means, reverse=True)
    for row in swept.rows:
        values = [float(row[f"val_auroc_{index}"]) for index in CLASSES if row[f"val_auroc_{index}"]]
        trial = swept.study.trials[int(row["configuration"])]
        assert row["state"] == trial.user_attrs["state"]
        assert len(values) >= int(row["classes"]) >= 1
        if row["state"] == "complete":
            assert float(row["val_auroc_mean"]) == trial.value == pytest.approx(statistics.fmean(values), abs=1e-12)
            assert (row["classes"], row["epochs"]) == (str(len(CLASSES)), str(EPOCHS))
        else:
            assert row["val_auroc_mean"] == ""


def test_the_test_part_is_scored_once_and_stands_on_the_sweeps_run_and_the_winners_models(
    swept: SimpleNamespace,
) -> None:
    names = {f"test_{metric}_{ending}" for metric in METRICS for ending in ("mean", *CLASSES)}
    names |= {"test_auroc_mean_low", "test_auroc_mean_high"}
    for key, run in swept.mlflow.by_key.items():
        found = {name for name in run.data.metrics if name.startswith("test")}
        if key.startswith(f"confirm/{_winner(swept)}/1/"):
            assert {f"test_{metric}" for metric in METRICS} <= found
        else:
            own = {"test_auroc_mean"} if run.data.tags["level"] == "config" and key.startswith("confirm") else set()
            assert found == (names if key == "sweep" else own)
    values = {name: swept.mlflow.history("sweep", name) for name in names}
    assert all(len(history) == 1 for history in values.values())
    assert len(swept.study.user_attrs["test_openings"]) == 1
    stored = final.TestResult.from_record(swept.study.user_attrs["test"])
    keys = swept.mlflow.level("config", "confirm")
    assert set(stored.measured) == {tuple(map(int, key.split("/")[1:])) for key in keys}, "every confirmed model"
    own = stored.measured[_winner(swept), 1]
    for metric in METRICS:
        for index in CLASSES:
            assert values[f"test_{metric}_{index}"] == [(0, own[index][metric])]
        [(_, mean)] = values[f"test_{metric}_mean"]
        assert mean == pytest.approx(statistics.fmean(own[index][metric] for index in CLASSES))
    [(_, mean)], [(_, low)], [(_, high)] = (values[f"test_auroc_mean{end}"] for end in ("", "_low", "_high"))
    assert low < mean < high
    assert f"{mean:.4f}" in swept.out
    assert "within noise" in swept.out or "beyond noise" in swept.out


def test_the_summary_and_the_table_say_what_was_printed(swept: SimpleNamespace) -> None:
    summary = json.loads((swept.home / "results.json").read_text())
    assert summary["winner"]["configuration"] == _winner(swept)
    assert summary["sentence"] in swept.out
    assert summary["seeds"] == [1]
    assert len(summary["test_openings"]) == 1
    rows = {int(row["configuration"]): row for row in swept.rows}
    assert {each["configuration"] for each in summary["confirmed"]} == {
        number for number, row in rows.items() if row["test_auroc_mean"]
    }
    for each in summary["confirmed"]:
        row = rows[each["configuration"]]
        assert float(row["confirm_auroc_mean"]) == pytest.approx(statistics.fmean(each["confirm"]), abs=1e-12)
        assert float(row["test_auroc_mean"]) == pytest.approx(statistics.fmean(each["test"]), abs=1e-12)
    assert [each["name"] for each in summary["confirmed"] if each["configuration"] == 0] == ["default"]


def _winner(swept: SimpleNamespace) -> int:
    [number] = re.findall(r"winner: configuration (\d+)", swept.out)
    return int(number)


def test_the_sweeps_run_has_table_figure_and_study(swept: SimpleNamespace) -> None:
    run = swept.mlflow.by_key["sweep"].info
    found = {each.path: each.file_size for each in swept.mlflow.client.list_artifacts(run.run_id)}
    assert set(found) == {"results.csv", "results.json", "auroc_by_class.png", "study.db", "model", "report.html"}
    assert all(size for name, size in found.items() if name != "model")
    assert found["results.csv"] == (swept.home / "results.csv").stat().st_size
    assert Path(swept.home / "auroc_by_class.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_is_seen_in_a_browser_at_a_desks_and_a_phones_width(
    swept: SimpleNamespace, width: int, tmp_path: Path
) -> None:
    shots = Path(os.environ.get("SCREENSHOTS", str(tmp_path)))
    with chromium() as browser:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get((swept.home / "report.html").as_uri())
        browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        sizes = browser.execute_script(
            "return [...document.querySelectorAll('figure svg, figure img')].map("
            "each => [each.getBoundingClientRect().width, each.getBoundingClientRect().height])"
        )
        assert len(sizes) >= 9 + 5 * len(CLASSES), "history, six slices, parallel, differences and the models' figures"
        assert min(map(min, sizes)) > 50, sizes
        assert browser.execute_script("return [...document.images].every(each => each.naturalWidth > 200)")
        browser.save_screenshot(str(shots / f"report-{width}.png"))
        assert browser.get_log("browser") == []
    assert f"report:  {swept.home / 'report.html'}" in swept.out


def test_the_winner_has_the_best_confirmed_mean(swept: SimpleNamespace) -> None:
    means = {
        int(key.split("/")[1]): dict(swept.mlflow.history(key, "val_auroc_mean"))[EPOCHS]
        for key in swept.mlflow.level("config", "confirm")
    }
    best = max(means, key=lambda number: (means[number], -number))
    assert re.search(rf"^winner: configuration {best}( \(.+\))?$", swept.out, re.M)
    assert swept.mlflow.by_key["sweep"].data.metrics["val_auroc_mean"] == pytest.approx(means[best], abs=1e-12)


def test_the_printed_commands_are_there(swept: SimpleNamespace) -> None:
    for command in (
        "sweeps/ui.py --tracking-uri",
        "sweeps/predict.py --sweep t",
        f"{ROOT / 'sweeps' / 'gan_loss_weights.py'} --resume t",
        "repeat:  ",
    ):
        assert command in swept.out


def test_the_repeat_command_gives_the_confirmed_auroc_to_the_last_digit(swept: SimpleNamespace, tmp_path: Path) -> None:
    words = shlex.split(next(line for line in swept.out.splitlines() if line.startswith("repeat:")))[1:]
    setting, command = words[0].split("="), words[2:]
    assert words[1] in ("python", sys.executable)
    file = tmp_path / "repeated.ckpt"
    done = subprocess.run(
        [sys.executable, *command, "--checkpoint", str(file)],  # a checkpoint holds every digit
        env={**os.environ, setting[0]: setting[1]}, capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    states = checkpoints.read(file)
    winner = _winner(swept)
    assert [state.config.train_seed for state in states] == [1] * len(CLASSES)
    assert sorted(state.config.classes[0] for state in states) == sorted(CLASSES)
    for index, state in ((state.config.classes[0], state) for state in states):
        repeated = [epoch["val_auroc"] for epoch in state.history]
        assert len(repeated) == EPOCHS
        confirmed = [value for _, value in swept.mlflow.history(f"confirm/{winner}/1/{index}", "val_auroc")]
        assert repeated == confirmed
        assert all(math.isfinite(value) for value in repeated)


def test_search_checkpoints_are_gone_and_nothing_else_is_left_behind(swept: SimpleNamespace) -> None:
    kept = {path.parent.name for path in swept.home.glob("checkpoints/*/*/*.ckpt")}
    assert kept == {"seed-1"}, "only what confirm trained scores the test part"
