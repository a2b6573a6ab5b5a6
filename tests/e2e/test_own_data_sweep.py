"""A whole sweep over a folder of one's own, laid out as MVTec AD, and its resume after the folder has changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean

import pytest
from mlflow.tracking import MlflowClient

from tests.own_images import stripes, write_images
from tests.sweep_process import Begin, MlflowRuns


def test_a_sweep_over_a_folder_ends_and_is_not_resumed_with_other_images(tmp_path: Path, begin: Begin) -> None:
    folder = tmp_path / "Müll und Bilder"
    write_images(folder / "train" / "good", stripes(50, standing=False))
    write_images(folder / "test" / "good", stripes(10, standing=False, seed=1))
    write_images(folder / "test" / "dent", stripes(40, standing=True))
    (folder / "train" / "good" / "cut.png").write_bytes(b"\x89PNG")
    arguments = ["--scale", "smoke", "--dataset", "folder:Müll und Bilder", "--configs", "2", "--epochs", "1"]
    arguments += ["--metric", "fpr95", "--max-concurrent", "1"]
    sweep = begin(tmp_path, *arguments, "--name", "own")
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert "0 good" in sweep.out
    assert "Protocol held-out: trained without anomalies" in sweep.out
    assert "20 of the test part's anomalies" in sweep.err
    assert "cut.png (not a PNG" in sweep.err
    assert len(sweep.err.splitlines()) == 2, f"nothing but what was said of the data: {sweep.err}"
    results = json.loads((tmp_path / "runs" / "own" / "results.json").read_text())
    assert 0 <= results["test"][""]["value"] <= 1
    assert (results["plan"]["base"]["classes"], results["plan"]["base"]["protocol"]) == ([0], "held-out")
    assert "half of the test part" in (tmp_path / "runs" / "own" / "report.html").read_text()
    assert results["plan"]["metric"] == "fpr95"
    assert [fmean(each["confirm"]) for each in results["confirmed"]] == sorted(
        fmean(each["confirm"]) for each in results["confirmed"]
    ), "the lowest is the best"
    assert results["test_fpr95_by_class"]["0"]["high"] > 0
    assert "FPR at 95 % TPR (lower is better) of configuration" in sweep.out
    assert (tmp_path / "runs" / "own" / "fpr95_by_class.png").exists()
    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    winner = runs.by_key[f"confirm/{results['winner']['configuration']}/1"].data.metrics
    assert winner["val_fpr95_mean"] == pytest.approx(results["confirm"]["value"])
    assert winner["test_fpr95_mean"] == pytest.approx(results["test"][""]["value"])
    client = MlflowClient(sweep.uri, registry_uri=sweep.uri)
    [model] = client.search_registered_models()
    assert re.fullmatch("gan_loss_weights-folder-Müll-und-Bilder-[0-9a-f]{8}", model.name)
    assert client.get_model_version_by_alias(model.name, "champion").run_id == runs.by_key["sweep"].info.run_id

    write_images(tmp_path / "other", stripes(1, standing=True, seed=9))
    for image in sorted((folder / "test" / "dent").iterdir())[:20]:
        image.write_bytes((tmp_path / "other" / "000.png").read_bytes())
    again = begin(tmp_path, "--resume", "own")
    assert again.wait() == 2
    assert "was started with other data" in again.err
    assert "put the images back" in again.err
