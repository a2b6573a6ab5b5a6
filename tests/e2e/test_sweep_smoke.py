"""One real sweep on a local Ray: what it prints, its files, and the printed commands."""

from __future__ import annotations

import json
import math
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from adcore.train import checkpoints
from tests.e2e.browser import chromium
from tests.e2e.smoke_sweep import CLASSES, CONFIGS, EPOCHS, SmokeSweep
from tests.sweep_process import HANGS, ROOT

pytestmark = pytest.mark.xdist_group("smoke")  # one sweep for all


def test_the_output_is_plain_lines_without_a_traceback(smoke: SmokeSweep) -> None:
    assert smoke.err == ""
    assert "\x1b" not in smoke.out
    assert "search: 4 of 4 configurations begun" in smoke.out
    assert "Traceback" not in smoke.out


def test_the_table_has_a_row_per_configuration_the_confirmed_and_the_best_first(smoke: SmokeSweep) -> None:
    assert sorted(int(row["configuration"]) for row in smoke.rows) == list(range(CONFIGS))
    ranked = [row for row in smoke.rows if row["rank"]]
    assert [row["rank"] for row in smoke.rows[: len(ranked)]] == [str(rank + 1) for rank in range(len(ranked))]
    assert int(smoke.rows[0]["configuration"]) == smoke.winner
    others = smoke.rows[len(ranked) :]
    whole = [row for row in others if row["state"] == "complete"]
    assert others[: len(whole)] == whole
    means = [float(row["search_auroc_mean"]) for row in whole]
    assert means == sorted(means, reverse=True)
    for row in smoke.rows:
        values = [float(row[f"search_auroc_{index}"]) for index in CLASSES if row[f"search_auroc_{index}"]]
        trial = smoke.study.trials[int(row["configuration"])]
        assert row["state"] == trial.user_attrs["state"]
        assert len(values) >= int(row["classes"]) >= 1
        if row["state"] == "complete":
            assert float(row["search_auroc_mean"]) == trial.value == pytest.approx(statistics.fmean(values), abs=1e-12)
            assert (row["classes"], row["epochs"]) == (str(len(CLASSES)), str(EPOCHS))
        else:
            assert row["search_auroc_mean"] == ""


def test_the_summary_and_the_table_say_what_was_printed(smoke: SmokeSweep) -> None:
    summary = json.loads((smoke.home / "results.json").read_text())
    assert summary["winner"]["configuration"] == smoke.winner
    assert summary["sentence"] in smoke.out
    assert summary["seeds"] == [1]
    assert len(summary["test_openings"]) == 1
    rows = {int(row["configuration"]): row for row in smoke.rows}
    assert {each["configuration"] for each in summary["confirmed"]} == {
        number for number, row in rows.items() if row["test_auroc_mean"]
    }
    for each in summary["confirmed"]:
        row = rows[each["configuration"]]
        assert float(row["confirm_auroc_mean"]) == pytest.approx(statistics.fmean(each["confirm"]), abs=1e-12)
        assert float(row["test_auroc_mean"]) == pytest.approx(statistics.fmean(each["test"]), abs=1e-12)
    assert [each["name"] for each in summary["confirmed"] if each["configuration"] == 0] == ["default"]
    assert rows[0]["name"] == "default"
    ranked = sorted((row for row in rows.values() if row["rank"]), key=lambda row: int(row["rank"]))
    assert [row["rank"] for row in ranked] == [str(rank) for rank in range(1, len(ranked) + 1)]
    assert [int(row["configuration"]) for row in ranked] == [each["configuration"] for each in summary["confirmed"]]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_is_seen_in_a_browser_at_a_desks_and_a_phones_width(
    smoke: SmokeSweep, width: int, tmp_path: Path
) -> None:
    shots = Path(os.environ.get("SCREENSHOTS", str(tmp_path)))
    with chromium() as browser:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get((smoke.home / "report.html").as_uri())
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
    assert f"report:  {smoke.home / 'report.html'}" in smoke.out


def test_the_printed_commands_are_there(smoke: SmokeSweep) -> None:
    for command in (
        "sweeps/ui.py --tracking-uri",
        "sweeps/predict.py --sweep t",
        f"{ROOT / 'sweeps' / 'gan_loss_weights.py'} --resume t",
        "repeat:  ",
    ):
        assert command in smoke.out


def test_the_repeat_command_gives_the_confirmed_auroc_to_the_last_digit(smoke: SmokeSweep, tmp_path: Path) -> None:
    words = shlex.split(next(line for line in smoke.out.splitlines() if line.startswith("repeat:")))[1:]
    setting, command = words[0].split("="), words[2:]
    assert words[1] in ("python", sys.executable)
    file = tmp_path / "repeated.ckpt"
    done = subprocess.run(
        [sys.executable, *command, "--checkpoint", str(file)],  # a checkpoint holds every digit
        env={**os.environ, setting[0]: setting[1]}, capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    states = checkpoints.read(file)
    winner = smoke.winner
    assert [state.config.train_seed for state in states] == [1] * len(CLASSES)
    assert sorted(state.config.classes[0] for state in states) == sorted(CLASSES)
    for index, state in ((state.config.classes[0], state) for state in states):
        repeated = [epoch["val_auroc"] for epoch in state.history]
        assert len(repeated) == EPOCHS
        confirmed = [value for _, value in smoke.mlflow.history(f"confirm/{winner}/1/{index}", "val_auroc")]
        assert repeated == confirmed
        assert all(math.isfinite(value) for value in repeated)


def test_search_checkpoints_are_gone_and_nothing_else_is_left_behind(smoke: SmokeSweep) -> None:
    kept = {path.parent.name for path in smoke.home.glob("checkpoints/*/*/*.ckpt")}
    assert kept == {"seed-1"}, "only what confirm trained scores the test part"
