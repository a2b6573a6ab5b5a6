"""One real sweep with --set, --range and --point on a local Ray: trained, recorded and reported as they say."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from adcore.train import checkpoints
from sweeps.engine.record.study import open_study
from tests.sweep_process import MlflowRuns, SweepProcess

pytestmark = pytest.mark.xdist_group("steered")  # one sweep for all

SET = ["batch_size=16", "sampling=random"]
RANGES = ["width=2|4", "norm=batch|group", "crop=on|off", "abc=0.5:5:log"]
POINT = "abc=3,width=2,norm=group,crop=on"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("steered")
    sizes = ["--scale", "smoke", "--normal-class", "0,3", "--epochs", "1", "--configs", "3", "--system-metrics"]
    sizes += ["--max-concurrent", "1"]
    flags = [*(f"--set={each}" for each in SET), *(f"--range={each}" for each in RANGES), f"--point={POINT}"]
    sweep = SweepProcess(folder, *sizes, *flags, "--name", "t")
    try:
        assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
        home = folder / "runs" / "t"
        study = open_study(home / "study.db", create=False)
        yield SimpleNamespace(folder=folder, home=home, out=sweep.out, study=study, mlflow=MlflowRuns(sweep.uri))
    finally:
        sweep.end()


def test_the_record_holds_what_was_set_searched_and_tried_first(swept: SimpleNamespace) -> None:
    settings, plan = swept.study.user_attrs["settings"], swept.study.user_attrs["plan"]
    assert (settings["set"], settings["range"], settings["point"]) == (SET, RANGES, [POINT])
    assert (plan["base"]["batch_size"], plan["base"]["sampling"]) == (16, "random")
    assert plan["space"]["ranges"]["width"]["options"] == [2, 4]
    point = plan["space"]["points"]["point 1"]
    assert {name: point[name] for name in ("weight_abc", "width", "norm", "crop")} == {
        "weight_abc": 3.0, "width": 2, "norm": "group", "crop": True,
    }  # fmt: skip
    assert swept.study.trials[0].params == point, "the default's width is outside the range"


def test_what_is_recorded_was_trained_and_logged(swept: SimpleNamespace) -> None:
    for trial in swept.study.trials:
        logged = swept.mlflow.by_key[f"search/{trial.number}/0"].data.params
        assert (logged["batch_size"], logged["sampling"]) == ("16", "random")
        assert {name: logged[name] for name in trial.params} == {name: str(v) for name, v in trial.params.items()}
    winner = json.loads((swept.home / "results.json").read_text())["winner"]
    number, params = winner.pop("configuration"), winner
    [path, *_] = sorted(Path(swept.home).glob("checkpoints/**/*.ckpt"))
    [used] = checkpoints.read(path)
    assert {name: getattr(used.config, name) for name in params} == params == swept.study.trials[number].params
    assert used.config.batch_size == 16


def test_the_use_of_the_machine_is_logged_with_the_sweeps_run(swept: SimpleNamespace) -> None:
    logged = swept.mlflow.by_key["sweep"].data.metrics
    assert 0 < logged["system/cpu_utilization_percentage"] <= 100
    assert logged["system/system_memory_usage_megabytes"] > 0


def test_the_report_names_the_point_and_repeats_what_was_set(swept: SimpleNamespace) -> None:
    assert "configuration 0 (point 1): " in swept.out
    words = shlex.split(next(line for line in swept.out.splitlines() if line.startswith("repeat:")))
    assert words[words.index("--batch-size") + 1] == "16"
    assert words[words.index("--sampling") + 1] == "random"
    with (swept.home / "results.csv").open() as file:
        assert {row["width"] for row in csv.DictReader(file)} <= {"2", "4"}


def test_it_resumes_without_the_flags(swept: SimpleNamespace) -> None:
    again = SweepProcess(swept.folder, "--resume", "t")
    try:
        assert again.wait() == 0, again.err
        assert "configuration 0 (point 1): " in again.out
    finally:
        again.end()
