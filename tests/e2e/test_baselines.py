"""The table of baselines, interrupted, gone on with and killed: every row once, its figures in MLflow."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweeps.engine.record.home import SweepHome
from sweeps.engine.show.status import status_of
from tests.sweep_process import HANGS, Begin, MlflowRuns, poll

ROWS = ("random", "autoencoder-kde", "cnn-folds", "conv-autoencoder")
FIGURES = {"roc.png", "confusion_matrix.png", "score_densities.png", "loss_curves.png", "reconstructions.png"}


def test_a_table_that_was_interrupted_and_killed_is_filled_without_repetition(begin: Begin, tmp_path: Path) -> None:
    home = tmp_path / "runs" / "b"
    arguments = ["--scale", "smoke", "--only", ",".join(ROWS), "--name", "b"]
    table = begin(tmp_path, *arguments, script="baselines")
    poll(lambda: table.process.poll() is not None or any(home.glob("figures/*/*/*/roc.png")), "a figure")
    table.interrupt()
    assert table.wait() == 130, f"{table.out}\n{table.err}"
    done = json.loads((home / "results.json").read_text())["rows"]
    assert len(done) < len(ROWS), "interrupted too late"

    killed = begin(tmp_path, "--resume", "b", script="baselines")
    before = _trainings(home)
    poll(lambda: killed.process.poll() is not None or _trainings(home) > before, "one more training")
    assert killed.process.poll() is None, f"killed too late\n{killed.out}\n{killed.err}"
    killed.end()

    resumed = begin(tmp_path, "--resume", "b", script="baselines")
    assert resumed.wait() == 0, f"{resumed.out}\n{resumed.err}"
    assert "Traceback" not in resumed.out + resumed.err
    rows = list(csv.DictReader((home / "baselines.csv").read_text().splitlines()))
    assert [row["system"] for row in rows] == list(ROWS)
    assert [int(row["n"]) for row in rows] == [1, 1, 5, 1]
    assert 0.4 < float(rows[0]["mean"]) < 0.6
    assert all(row["system"] in resumed.out for row in rows)
    for old in done:  # what was trained before the interruption was not trained again
        assert old["seconds"] == pytest.approx(float(next(r["seconds"] for r in rows if r["system"] == old["name"])))

    shown = status_of(SweepHome(home))
    assert (shown.state, shown.stage, shown.error) == ("complete", None, "")
    count = _trainings(home)
    assert count >= 8
    assert shown.counts == {"of": "trainings", "planned": count, "tried": count, "complete": count}
    assert shown.files["table"] == str(home / "baselines.csv")

    runs = MlflowRuns(table.uri, "baselines")
    runs.assert_whole()
    assert len(runs.level("config")) == 3 + 5
    kde = next(run for run in runs.level("class").values() if run.info.run_name.startswith("b · autoencoder"))
    assert {file.path for file in runs.client.list_artifacts(kde.info.run_id)} >= FIGURES
    assert kde.data.metrics["test_auroc"] == pytest.approx(float(rows[1]["mean"]))
    assert "test_f1_two_scores" in kde.data.metrics
    assert runs.by_key["sweep"].data.metrics["random_auroc"] == pytest.approx(float(rows[0]["mean"]))


def _trainings(home: Path) -> int:
    """How many trainings the record holds."""
    with closing(sqlite3.connect(f"file:{home / 'study.db'}?mode=ro", uri=True, timeout=HANGS)) as database:
        query = "SELECT count(*) FROM study_user_attributes WHERE key LIKE 'done_%'"
        return int(database.execute(query).fetchone()[0])
