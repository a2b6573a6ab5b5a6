"""One real sweep with --objective per-class on a local Ray: its figures, its models and its runs in MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import fmean
from types import SimpleNamespace

import pytest

from adcore.datasets import ImageDataset
from adcore.evaluation import test_scores as evaluation
from adcore.train.build import load_detector
from sweeps.engine.main import main
from sweeps.engine.planning.plan import NUMBERS_PER_CLASS
from sweeps.engine.record.home import SweepHome
from sweeps.engine.show.status import status_of
from sweeps.gan_loss_weights import SPACE
from tests.sweep_process import MlflowRuns, SweepProcess

pytestmark = pytest.mark.xdist_group("per-class")  # one sweep for all


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("per_class")
    sweep = SweepProcess(
        folder, "--scale", "smoke", "--normal-class", "0,3", "--objective", "per-class", "--configs", "4",
        "--max-concurrent", "1", "--name", "t",
    )  # fmt: skip
    try:
        assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
        home = folder / "runs" / "t"
        results = json.loads((home / "results.json").read_text())
        yield SimpleNamespace(home=home, out=sweep.out, err=sweep.err, mlflow=MlflowRuns(sweep.uri), results=results)
    finally:
        sweep.end()


def test_the_difference_is_the_mean_of_the_own_bests_minus_the_common_winners(swept: SimpleNamespace) -> None:
    found, common = swept.results["per_class"], swept.results["test_by_class"]["auroc"]
    own = {index: each["test"] for index, each in found["by_class"].items()}
    assert set(own) == set(common) == {"0", "3"}
    mean = fmean(fmean(values) for values in own.values())
    difference = found["difference"]
    assert difference["value"] == pytest.approx(mean - fmean(fmean(values) for values in common.values()), abs=1e-12)
    assert difference["low"] <= difference["value"] <= difference["high"]
    metrics = swept.mlflow.by_key["sweep"].data.metrics
    assert metrics["test_auroc_own_best_mean"] == pytest.approx(mean, abs=1e-12)
    assert metrics["test_auroc_own_best_difference"] == pytest.approx(difference["value"], abs=1e-12)
    assert found["sentence"] in swept.out
    shown = f"{difference['value']:+.4f}" if abs(difference["value"]) >= 5e-5 else "0.0000"
    assert found["sentence"].startswith(f"One weight vector for all 2 classes costs {shown} AUROC")
    assert swept.err == ""


def test_the_own_bests_are_the_best_confirmed_and_their_models_give_the_test_values(
    swept: SimpleNamespace, digits_test: ImageDataset
) -> None:
    winner = swept.results["winner"]["configuration"]
    for index, each in swept.results["per_class"]["by_class"].items():
        common = swept.mlflow.history(f"confirm/{winner}/1/{index}", "val_auroc")[-1][1]
        [own] = [
            swept.mlflow.history(key, f"val_auroc_{index}")[-1][1]
            for key, run in swept.mlflow.level("config", "confirm by class").items()
            if run.data.tags["class"] == index
        ]
        assert each["confirm"] == [max(own, common)]
        classes = (0, 3) if each["configuration"] == winner else (int(index),)
        paths = SweepHome(swept.home).checkpoints_of(each["configuration"], classes, 1)
        config, detector = load_detector(paths, digits_test.channels)
        assert {name: getattr(config, name) for name in each["params"]} == each["params"]
        value = evaluation.score_test(detector, config, digits_test).measured()[int(index)]["auroc"]
        assert each["test"] == [pytest.approx(value, abs=1e-6)]


def test_mlflow_holds_the_classes_searches_below_the_sweep(swept: SimpleNamespace) -> None:
    swept.mlflow.assert_whole()
    searched = swept.mlflow.level("config", "search by class")
    numbers = {index: [(index + 1) * NUMBERS_PER_CLASS + place for place in range(4)] for index in (0, 3)}
    assert set(searched) == {f"search by class/{number}/0" for own in numbers.values() for number in own}
    for index, own in numbers.items():
        for number in own:
            run = searched[f"search by class/{number}/0"]
            assert run.info.run_name.startswith(f"t · search class {index}: ")
            assert (run.data.tags["class"], run.data.params["classes"]) == (str(index), str(index))
            assert "val_auroc_at_rung" in run.data.metrics
    for run in swept.mlflow.level("config", "confirm by class").values():
        assert run.info.run_name.startswith(f"t · class {run.data.tags['class']}: ")
    assert set(swept.mlflow.level("config", "search")) == {f"search/{number}/0" for number in range(4)}
    kept = {path.parent.name for path in swept.home.glob("checkpoints/*/*/*.ckpt")}
    assert kept == {"seed-1"}, "only what confirm trained scores the test part"


def test_it_is_shown_with_both_searches_and_what_one_weight_vector_costs(swept: SimpleNamespace) -> None:
    shown = status_of(SweepHome(swept.home))
    assert (shown.state, shown.stage, shown.error) == ("complete", None, "")
    assert shown.counts
    assert shown.counts["by_class"] == {"planned": 2 * 4, "tried": 2 * 4}
    assert shown.results
    assert shown.results["per_class"] == swept.results["per_class"]["sentence"]


def test_a_resume_with_another_objective_is_refused(swept: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--resume", "t", "--storage", str(swept.home.parent), "--objective", "mean"]
    with pytest.raises(SystemExit) as refused:
        main("gan_loss_weights", "", SPACE, arguments)
    assert refused.value.code == 2
    assert "was started with --objective per-class, not mean" in capsys.readouterr().err
