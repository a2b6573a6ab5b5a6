"""The examples of docs/extending.md, applied and run as they stand there; their sweep is run in tests/e2e."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.train import train
from tests.extended_copy import EXAMPLES, commands, extended_copy, lines_to_write, run

QUICK: dict[str, Any] = {"dataset": "digits", "classes": (3,), "width": 2, "epochs": 1, "images_per_class": 40}
#: Every `python -m adcore.train ...` in one process, which has torch to load once, and QUICK beyond them.
TRAININGS = """
import json, sys
from adcore.config import TrainConfig
from adcore.datasets import DatasetError, load
from adcore.train import train
from adcore.train.__main__ import main

asked, quick = json.loads(sys.argv[1])
for arguments in asked:
    try:
        main(arguments)
    except SystemExit as ended:
        assert ended.code == 0, arguments
    print("end")
for changes in ({}, {"protocol": "one-class"}):
    config = TrainConfig(**{**quick, **changes, "classes": tuple(quick["classes"])})
    print(json.dumps(train(config, lambda _: None, data=load("digits", "train")).history[0]))
try:
    load("bars", "train", data_dir="none")
except DatasetError as error:
    print(error)
"""


pytestmark = pytest.mark.xdist_group("extending")  # one copy for all


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The copy; what each example's training printed; what QUICK reported there, with anomalies and without; and what
    is said where the data set is not."""
    copy = extended_copy(tmp_path_factory.mktemp("extended"))
    trainings: dict[str, list[str]] = {}
    for title in EXAMPLES:
        for arguments in commands(title):
            if arguments[:2] == ["-m", "adcore.train"]:
                trainings[title] = arguments[2:]
            elif title == "data set":
                run(copy, *arguments)
    assert list(trainings) == ["loss", "detector", "data set"]
    *printed, quick = run(copy, "-c", TRAININGS, json.dumps([list(trainings.values()), QUICK])).split("end\n")
    *reported, missing = quick.splitlines()
    return SimpleNamespace(
        copy=copy,
        printed=dict(zip(trainings, printed, strict=True)),
        reported=[json.loads(line) for line in reported],
        missing=missing,
    )


def aurocs(text: str) -> list[float]:
    """Mean validation AUROC after each epoch."""
    return [float(value) for value in re.findall(r"val AUROC (\S+)", text)]


def test_each_example_is_under_thirty_lines() -> None:
    assert list(EXAMPLES) == ["loss", "detector", "data set", "sweep"]
    assert all(10 < lines_to_write(title) < 30 for title in EXAMPLES), {t: lines_to_write(t) for t in EXAMPLES}


@pytest.mark.parametrize("title", ["loss", "detector", "data set"])
def test_it_trains_and_detects(title: str, ran: SimpleNamespace) -> None:
    assert len(aurocs(ran.printed[title])) >= 3
    assert 0.8 < aurocs(ran.printed[title])[-1] <= 1


def test_a_loss_of_weight_zero_is_reported_and_changes_no_other_number(
    ran: SimpleNamespace, digits_train: ImageDataset
) -> None:
    for reported, changes in zip(ran.reported, ({}, {"protocol": "one-class"}), strict=True):
        before = train(TrainConfig(**QUICK, **changes), lambda _: None, data=digits_train).history[0]
        assert reported.keys() - before.keys() == {"loss_gradient_difference_3"}
        assert 0 < reported["loss_gradient_difference_3"] < 4  # steps of pixels in [-1, 1] along two axes
        assert all(reported[name] == value for name, value in before.items() if name != "images_per_second")


def test_the_data_set_is_listed_and_its_absence_is_one_line(ran: SimpleNamespace) -> None:
    assert re.search(r"bars +1x16x16 +3 classes", run(ran.copy, "-m", "adcore.datasets", "list"))
    assert "test AUROC 1.0000" in ran.printed["data set"]
    assert ran.missing.startswith("none/bars/train.npz: no such file")


def test_the_sweep_plans_its_search_and_the_ablation_is_what_it_was(ran: SimpleNamespace) -> None:
    [plan, _] = commands("sweep")
    text = run(ran.copy, *plan)
    assert "searched   weight_gradient_difference 0.01-10 log, weight_abc 0.1-10 log" in text
    assert "up to 12 configurations" in run(ran.copy, "sweeps/loss_ablation.py", "--plan", "--scale", "laptop")
