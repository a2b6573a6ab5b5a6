"""A trial has no way to the test part: it is given the train part, and opens nothing."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.train import train
from sweeps.engine import stages
from sweeps.engine.machine.resources import Resources
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.trial import Part, run_trial, trial_config
from tests.sweep_parts import small_plan
from tests.train_runs import comparable, ignore

#: A trial on digits with every way to data closed: loading, and the files of any data set.
TRIAL = """
import sys
from pathlib import Path
import numpy as np
from ray import tune
import adcore.datasets, adcore.datasets.locate, sklearn.datasets
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.trial import Part, run_trial, trial_config
from adcore.config import TrainConfig

train = adcore.datasets.load("digits", "train")
load, reports = adcore.datasets.load, []

def closed(*_, **__):
    raise AssertionError("a trial looked for data")

def watch(event, arguments):
    words = ("t10k", "test_batch", "data_batch", "train-images", "digits.csv")
    if event == "open" and any(word in str(arguments[0]) for word in words):
        closed()

sys.addaudithook(watch)
try:
    load("digits", "test")
except AssertionError:
    reports.append("the wire is live")
adcore.datasets.load = adcore.datasets.registry.load = adcore.datasets.registry.find_part = closed
adcore.datasets.locate.find_part = closed
sklearn.datasets.load_digits = closed
tune.report = reports.append
base = TrainConfig(dataset="digits", classes=(0, 3), width=2, epochs=2, images_per_class=40)
home = SweepHome(Path(sys.argv[1]))
run_trial(trial_config([Part(0, base)], until=2), data=train, home=home, members=2, threads=1, gpus=0)
print(reports[0], len(reports) - 1)
"""


def test_a_trial_completes_with_every_way_to_the_test_part_closed(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TRIAL, str(tmp_path)], capture_output=True, text=True, timeout=400, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "the wire is live 2"
    assert {checkpoint.stem for checkpoint in tmp_path.rglob("*.ckpt")} == {"class-0", "class-3"}


def test_a_trial_reports_what_training_on_the_train_part_does_and_nothing_else(
    digits_train: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[dict[str, Any]] = []
    config = dataclasses.replace(small_plan((0,), epochs=2).base, width=2, images_per_class=40)
    monkeypatch.setattr("ray.tune.report", reports.append)
    given: dict[str, Any] = {"members": 1, "threads": torch.get_num_threads(), "gpus": 0}
    run_trial(trial_config([Part(0, config)], until=2), data=digits_train, home=SweepHome(tmp_path), **given)
    assert [set(report) for report in reports] == [{"metrics", "images_per_second"}] * 2
    reported = [metrics for report in reports for metrics in json.loads(report["metrics"])]
    assert comparable(reported) == comparable(train(config, ignore, data=digits_train).history)


def test_a_trial_is_given_the_train_part_alone(
    digits_train: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class GivenError(Exception):
        pass

    given: dict[str, Any] = {}

    def take(function: object, **arguments: Any) -> None:
        given.update(arguments, function=function)
        raise GivenError

    assert list(inspect.signature(run_trial).parameters) == ["config", "data", "home", "members", "threads", "gpus"]
    monkeypatch.setattr(stages, "with_parameters", take)
    home = SweepHome(tmp_path)
    own: Any = SimpleNamespace(data=digits_train, home=home, resources=Resources(cpus=1, gpus=0, slots=1))
    own.packing = {"limit": 5}
    with pytest.raises(GivenError):
        stages.Stages._trainable.func(own)
    assert given.pop("function") is run_trial
    assert given == {"data": digits_train, "home": home, "members": 5, "threads": 1, "gpus": 0}
    assert given["data"].part == "train"
