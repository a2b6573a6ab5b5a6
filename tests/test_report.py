"""What the end of a sweep prints and writes: names of points, intervals, and that the test part was opened again."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shlex
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from rich.console import Console

from adcore.command_line import dataclass_flags
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Space
from sweeps.engine.record.confirmation import Confirmation, confirmations, references
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.commands import commands_of_record, final_commands
from sweeps.engine.results.description import winner_tags
from sweeps.engine.results.files import write_summary, write_table
from sweeps.engine.results.summary import Summary, confirmed_means, summarise
from sweeps.engine.results.tables import final_report, images_in_words, rank_in_search, stage_table
from sweeps.engine.results.test_result import (
    TestResult as Result,  # under its own name pytest would take it for a class of tests
)
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests.sweep_parts import record_of

CLASSES = (0, 3)


def ended(
    space: Space, means: dict[int, float], **flags: Any
) -> tuple[SweepRecord, list[Confirmation], Summary, Result]:
    """A sweep whose configurations have these means, on validation and on the test part, with one fresh seed."""
    settings = SweepSettings(scale="smoke", normal_class=CLASSES, **flags)
    record = record_of(make_plan("script", settings, space))
    for number in range(record.plan.configs):
        record.propose(number)
    for number, mean in means.items():
        record.write_confirmed(number, 1, dict.fromkeys(CLASSES, mean))
    record.write("test_openings", ["2026-01-01T00:00:00+00:00"])
    confirmed = confirmations(record, list(record.configurations.values()))
    names = ("", "seen", "unseen") if record.plan.base.protocol == "seen-unseen" else ("",)
    own = [f"auroc_{name}".rstrip("_") for name in names]
    measured = {(each.number, 1): {i: dict.fromkeys(own, each.mean) for i in CLASSES} for each in confirmed}
    test = Result(measured, {name: 1e-4 * np.eye(len(confirmed)) for name in names}, 300)
    named = {each.number: name for name, each in references(record).items()}
    summary = summarise(
        confirmed, test, named, validation_images=250, same_training=True, is_grid=space.is_grid
    )  # fmt: skip
    return record, confirmed, summary, test


def printed(*sweep: Any) -> str:
    console = Console(width=200, file=io.StringIO())
    for part in final_report(*sweep):
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_configurations_are_printed_with_the_names_of_their_points_and_the_verdict() -> None:
    text = printed(*ended(SPACE, {0: 0.8, 2: 0.9}))
    assert "configuration 0 (default): search running, confirm 0.8000" in text
    assert "configuration 2 (reconstruction and ABC alone): search" in text
    assert "winner: configuration 2 (reconstruction and ABC alone)\n" in text
    assert "leads the default by 0.1000" in text
    assert "beyond noise" in text
    assert "not other seeds" in text
    assert "Protocol paper: trained with labelled anomalies of every other class." in text
    assert "opened" not in text


def test_the_confirmed_value_of_the_winner_is_said_to_be_the_best_of_so_many() -> None:
    [row] = [line for line in printed(*ended(SPACE, {0: 0.8, 2: 0.9})).splitlines() if "│ confirm, validation" in line]
    assert "1 fresh seed, the best of 2 confirmed" in row
    [alone] = [line for line in printed(*ended(SPACE, {0: 0.8})).splitlines() if "│ confirm, validation" in line]
    assert "best of" not in alone


def test_the_winners_place_in_the_search_is_told() -> None:
    record, confirmed, summary, _ = ended(SPACE, {0: 0.9, 2: 0.8})
    for number, mean in ((0, 0.7), (2, 0.75)):
        record.configurations[number].rung = len(record.ladder.rungs) - 1
        record.configurations[number].value = mean
        record.ledger.end(record.configurations[number], "complete")
    assert confirmed[0].number == summary.winner.number == 0
    assert rank_in_search(record, 0) == f"no. 2 of {record.plan.configs}"
    assert rank_in_search(record, 2) == f"the best of {record.plan.configs}"


def test_a_stopped_point_keeps_a_value_of_0() -> None:
    sweep = ended(SPACE, {0: 0.8}, metric="fpr95")
    sweep[0].configurations[1].rung, sweep[0].configurations[1].value = 0, 0.0
    assert "configuration 1 (paper): running, 0.0000 on rung 1 of" in printed(*sweep)


def test_the_repeat_command_takes_the_data_as_the_sweep_did() -> None:
    record, _, summary, _ = ended(SPACE, {0: 0.8})
    home = SweepHome(Path("s").absolute())
    for is_unverified in (False, True):
        settings = SweepSettings(data_dir="D", allow_unverified_data=is_unverified)
        commands = "\n".join(final_commands(record.plan, summary.winner, settings, "mine", home))
        assert "--data-dir D" in commands
        assert ("--allow-unverified-data" in commands) == is_unverified


def test_the_end_says_how_many_configurations_it_does_not_list() -> None:
    text = printed(*ended(SPACE, {0: 0.8, 2: 0.9}, configs=9))
    assert (
        "configuration 1 (paper): running, not confirmed\n  6 other configurations, not confirmed: all are in" in text
    )
    assert "other configuration" not in printed(*ended(SPACE, {0: 0.8, 2: 0.9}, configs=3))


def test_the_end_says_what_the_winners_models_decide_if_that_is_on_record() -> None:
    sweep = ended(SPACE, {0: 0.8, 2: 0.9})
    assert "decisions" not in printed(*sweep)
    by_class = {"0": {"recall": 0.9, "fpr": 0.1}, "3": {"recall": 0.8, "fpr": 0.3}}
    sweep[0].write("decisions", {"seed": 1, "by_class": by_class})
    assert (
        "with seed 1, at the threshold with the best F1 on validation, mean over 2 classes: 85.0% of the anomalies "
        "found, 20.0% of the normal images flagged"
    ) in printed(*sweep)


def test_the_images_of_a_single_class_are_counted_beside_what_is_decided() -> None:
    only = {"0": {"recall": 0.9, "fpr": 0.1, "validation": [18, 10], "test": [21, 1]}}
    assert images_in_words(only, 1) == {
        "validation images": "18 normal, 10 anomalies", "test images": "21 normal, 1 anomaly",
    }  # fmt: skip
    assert images_in_words(only, 2) == {}
    assert images_in_words({"0": {"recall": 0.9, "fpr": 0.1}}, 1) == {}


def test_the_table_of_stages_names_a_single_class() -> None:
    assert "AUROC of configuration 2, mean over 2 classes" in printed(*ended(SPACE, {0: 0.8, 2: 0.9}))
    record, confirmed, summary, _ = ended(SPACE, {0: 0.8, 2: 0.9})
    alone = dataclasses.replace(record.plan, base=dataclasses.replace(record.plan.base, classes=(3,)))
    table = stage_table(SweepRecord(record.study, alone), summary, of=len(confirmed))
    assert table.title == "AUROC of configuration 2, class 3"


def test_what_mlflow_says_counts_the_configurations_that_were_tried() -> None:
    record, confirmed, summary, _ = ended(SPACE, {0: 0.8, 2: 0.9})
    larger = SweepRecord(record.study, dataclasses.replace(record.plan, configs=500))
    note = winner_tags(larger, confirmed, summary, "", [])["mlflow.note.content"]
    assert "Of 4 configurations these were retrained" in note


def test_a_test_part_that_was_opened_again_is_told_of() -> None:
    sweep = ended(SPACE, {0: 0.8, 2: 0.9})
    sweep[0].write("test_openings", ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"])
    assert "The test part was opened 2 times for this sweep" in printed(*sweep)


def test_a_grids_points_are_printed_by_name_with_their_difference_to_the_default() -> None:
    text = printed(*ended(GRID, {number: 0.8 if number != 6 else 0.7 for number in range(12)}))
    rows = {name: next(line for line in text.splitlines() if f" {name} " in line) for name in GRID.points}
    assert "-0.1000" in rows["without abc"]
    assert "beyond noise" in rows["without abc"]
    assert "within noise" in rows["without patch"]
    assert "noise" not in rows["all six losses"]
    assert "Beyond noise from all six losses, of 11 on the test part: without abc (-0.1000)." in text


def test_a_grid_without_findings_says_none() -> None:
    assert "on the test part: none." in printed(*ended(GRID, dict.fromkeys(range(12), 0.8)))


def test_without_the_default_a_grid_is_not_compared_with_another_point_in_its_name() -> None:
    means = {number: 0.8 + number / 100 for number in range(12)} | {0: float("nan")}  # the default one diverged
    record, confirmed, summary, test = ended(GRID, means)
    assert 0 not in [each.number for each in confirmed]
    text = printed(record, confirmed, summary, test)
    assert "minus all six losses" not in text
    assert "from all six losses" not in text


@pytest.mark.parametrize("space", [SPACE, GRID])
def test_the_summary_file_names_points_and_holds_what_was_printed(space: Space, tmp_path: Path) -> None:
    sweep = ended(space, {0: 0.8, 1: 0.7, 2: 0.9})
    record, confirmed, summary, test = sweep
    found = json.loads(write_summary(tmp_path / "results.json", record, confirmed, summary, test, 12.3).read_text())
    names = {each["configuration"]: each["name"] for each in found["confirmed"]}
    assert names == dict(enumerate(list(space.points)[:3]))
    assert found["sentence"] in printed(*sweep).replace("\n", " ")
    assert found["test_openings"] == record.read("test_openings")
    assert {each["configuration"] for each in found["comparisons"]} == set(names) - {confirmed[0].number}


def test_the_table_has_the_confirmed_means_where_there_are_some(tmp_path: Path) -> None:
    record, confirmed, _, test = ended(SPACE, {0: 0.8, 2: 0.9})
    lines = write_table(tmp_path / "results.csv", record, confirmed_means(confirmed, test)).read_text().splitlines()
    header, *rows = [line.split(",") for line in lines]
    assert header[-2:] == ["confirm_auroc_mean", "test_auroc_mean"]
    assert {row[0]: row[-2:] for row in rows} == {
        "0": ["0.8", "0.8"], "1": ["", ""], "2": ["0.9", "0.9"], "3": ["", ""],
    }  # fmt: skip
    assert header[1:4] == ["name", "rank", "state"]
    assert {row[0]: row[2] for row in rows} == {"0": "2", "1": "", "2": "1", "3": ""}
    assert [row[1] for row in sorted(rows)] == [*[*SPACE.points][:3], ""]


def test_in_the_table_of_a_grid_nothing_has_a_rank(tmp_path: Path) -> None:
    record, confirmed, _, test = ended(GRID, {0: 0.8, 1: 0.7})
    write_table(tmp_path / "results.csv", record, confirmed_means(confirmed, test))
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows} <= set(GRID.points)
    assert {(row["rank"], row["state"]) for row in rows} == {("", "")}


def test_images_are_scored_with_the_winner_by_a_command_that_is_printed() -> None:
    record, _, summary, _ = ended(SPACE, {0: 0.8})
    home = SweepHome(Path("runs of mine", "s").absolute())
    commands = final_commands(record.plan, summary.winner, SweepSettings(), "mine", home)
    [score] = [shlex.split(line) for line in commands if line.startswith("score:")]
    assert score[-7:] == ["--sweep", "s", "--storage", str(home.folder.parent), "--class", "0", "IMAGES"]
    record, _, summary, _ = ended(GRID, {0: 0.8, 1: 0.7})
    commands = final_commands(record.plan, summary.winner, SweepSettings(), "mine", home)
    assert not any(line.startswith("score:") for line in commands), "nothing wins in a grid"


def test_the_repeat_command_names_the_protocol() -> None:
    record, confirmed, summary, _ = ended(SPACE, {0: 0.8}, protocol="seen-unseen", known_classes=3, pollution=0.1)
    assert "test, unseen anomalies" in printed(record, confirmed, summary, _)
    repeat = next(
        line
        for line in final_commands(
            record.plan, summary.winner, SweepSettings(), "mine", SweepHome(Path("s").absolute())
        )
        if "repeat" in line
    )
    for words in ("--protocol seen-unseen", "--known-classes 3", "--pollution 0.1"):
        assert words in repeat


@pytest.mark.parametrize(("detector", "is_named"), [("gan", True), ("cnn", False)])
def test_the_repeat_command_names_the_gans_score_for_a_gan_alone(detector: str, is_named: bool) -> None:
    record, _, summary, _ = ended(SPACE, {0: 0.8})
    base = dataclasses.replace(record.plan.base, detector=detector, score_latent=1.5)
    plan, home = dataclasses.replace(record.plan, base=base), SweepHome(Path("s").absolute())
    commands = "\n".join(final_commands(plan, summary.winner, SweepSettings(), "mine", home))
    assert ("--score-latent 1.5" in commands) == is_named


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--normal-class", "0,3", "--seed", "4"], ["--normal-class", "0,3", "--seed", "4"]),
        (["--normal-class", "Shirt,0"], ["--normal-class", "Shirt,0"]),
        (["--set", "width=16", "--set", "epochs=2"], ["--set", "width=16", "--set", "epochs=2"]),
        (["--point", "abc=3,patch=1", "--point", "abc=1"], ["--point", "abc=3,patch=1", "--point", "abc=1"]),
        (["--max-concurrent", "1", "--name", "mine"], []),
        (["--time-limit", "1h30m"], ["--time-limit", "90m"]),
        (["--time-limit", "2d"], ["--time-limit", "2d"]),
        (["--time-limit", "0.5s"], ["--time-limit", "0.5s"]),
        (["--gpu-hours", "12"], ["--gpu-hours", "12.0"]),
        (["--storage", "there", "--start-from", "a"], ["--start-from", "a", "--storage", "STORAGE"]),
    ],
)
def test_the_command_of_a_report_starts_the_same_sweep(flags: list[str], words: list[str], tmp_path: Path) -> None:
    command = click.Command("sweep", params=dataclass_flags(SweepSettings), callback=lambda **values: values)
    given = {name: value for name, value in command.main(flags, standalone_mode=False).items() if value is not None}
    record, confirmed, _, _ = ended(SPACE, {0: 0.8})
    record.write("settings", json.loads(json.dumps(dataclasses.asdict(SweepSettings(**given)))))
    search = commands_of_record(record, SweepHome(tmp_path / "mine"), confirmed[0].number)[0]
    assert search.split("script.py")[1].replace(str(tmp_path), "STORAGE").split() == words


def test_the_command_of_a_sweep_from_python_is_a_call(tmp_path: Path) -> None:
    settings = SweepSettings(scale="smoke", normal_class=CLASSES, set=("width=4",), time_limit=5400.0)
    record = record_of(make_plan("notebook", settings, SPACE))
    record.propose(0)
    record.write_confirmed(0, record.plan.confirm_seeds[0], dict.fromkeys(CLASSES, 0.8))
    record.write("settings", json.loads(json.dumps(dataclasses.asdict(settings))))
    search = commands_of_record(record, SweepHome(tmp_path / "mine"), 0)[0]
    assert search == "search:  sweep(space, scale='smoke', normal_class=[0, 3], set=['width=4'], time_limit=5400.0)"
