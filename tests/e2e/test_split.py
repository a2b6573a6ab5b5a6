"""Two classes as one network or as two: the same configuration gets the same AUROC for each class."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from sweep_process import Begin, MlflowRuns

CLASSES = (0, 6)


def test_members_of_one_network_score_as_single_trainings(begin: Begin, tmp_path: Path) -> None:
    searched, confirmed = {}, {}
    for size in ("1", "2"):
        folder = tmp_path / size
        folder.mkdir()
        words = ["--scale", "smoke", "--configs", "1", "--normal-class", "0,6", "--classes-per-trial", size]
        sweep = begin(folder, *words, "--name", "s")
        assert sweep.wait(240) == 0, f"{sweep.out}\n{sweep.err}"
        assert ("2 trials each" if size == "1" else "one trial each") in sweep.out
        with (folder / "runs" / "s" / "results.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert row["state"] == "complete"
        searched[size] = [float(row[f"val_auroc_{index}"]) for index in CLASSES]
        runs = MlflowRuns(sweep.uri)
        runs.assert_whole()
        assert len(runs.level("class", "confirm")) == 2
        assert runs.by_key["search/0/0"].data.metrics["classes_done"] == 2
        confirmed[size] = [runs.history(f"confirm/0/1/{index}", "val_auroc") for index in CLASSES]
    # An AUROC counts pairs: a change of the last digit of a score moves it by a pair or two of some thousands.
    assert searched["1"] == pytest.approx(searched["2"], abs=2e-3)
    for single, member in zip(confirmed["1"], confirmed["2"], strict=True):
        assert [step for step, _ in single] == [step for step, _ in member] == [1, 2]
        assert [value for _, value in single] == pytest.approx([value for _, value in member], abs=2e-3)
