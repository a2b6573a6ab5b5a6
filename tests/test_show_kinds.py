"""What `python -m sweeps.show` says of the sweeps that are not one search: per-class ones and tables of baselines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from sweeps.baselines import ROWS
from sweeps.engine.baselines.plan import BaselinePlan, BaselineSettings, plan_baselines
from sweeps.engine.record.attributes import Attributes
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.lock import one_driver
from sweeps.engine.record.progress import ENDED, STAGE, stage_start
from sweeps.engine.record.study import open_study
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.show.status import SweepStatus, status_of
from tests.shown_records import begun, better_with_number, printed
from tests.sweep_parts import Sweep, small_plan


def shown(folder: Path) -> SweepStatus:
    found = status_of(SweepHome(folder))
    assert found.error == ""
    return found


def page(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    code, out, err = printed(capsys, folder.name, "--storage", str(folder.parent))
    assert (code, err) == (0, "")
    return out


def test_a_per_class_sweep_is_followed_through_its_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "each"
    record = begun(folder, dataclasses.replace(small_plan((0, 3), configs=4), objective="per-class"))
    assert shown(folder).stage == "search"
    Sweep(record, better_with_number).run()
    assert (shown(folder).stage, shown(folder).counts) == (
        "confirm",
        {
            "of": "configurations",
            "planned": 4,
            "tried": 4,
            **record.ledger.counts(),
            "by_class": {"planned": 8, "tried": 0},
        },
    )
    winner = record.best(1)[0].number
    record.write_confirmed(winner, 1, {0: 0.9, 3: 0.8})
    records = [record.of_class(index) for index in (0, 3)]
    search = LadderSearch("search by class", records, limit=3, slots=1)
    sweep = Sweep(record, better_with_number, search=search)
    sweep.run(2)
    found = shown(folder)
    assert found.stage == "search by class"
    assert found.counts
    assert 0 < found.counts["by_class"]["tried"] < 8
    assert found.best == shown(folder).best, "the best so far is the common search's"
    assert f"by class {found.counts['by_class']['tried']} of 8" in page(capsys, folder)
    code, out, _ = printed(capsys, "--storage", str(tmp_path))
    assert (code, f"{found.counts['by_class']['tried']} of 8" in out) == (0, True)
    sweep.run()
    assert shown(folder).stage == "confirm by class"
    for own in records:
        record.write_confirmed(own.best(1)[0].number, 1, dict.fromkeys(own.plan.classes, 0.9))
    assert [each["configuration"] for each in shown(folder).confirmed] == [winner], "not those of one class"
    record.write("test_openings", ["2026-01-01T00:00:00+00:00"])
    assert shown(folder).stage == "final"
    record.write("extensions", [{"configs": 2, "openings": 1, "test": None}])
    record.write(STAGE, stage_start("confirm", 4, record.all()))
    assert shown(folder).stage == "confirm", "the test part is opened again after that"


def test_the_sentence_on_one_weight_vector_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "each"
    begun(folder, dataclasses.replace(small_plan((0, 3), configs=4), objective="per-class"), test={"models": []})
    interval = {"value": 0.9, "low": 0.8, "high": 1.0}
    results = {"winner": {"configuration": 2}, "confirm": interval, "test": {"": interval}, "sentence": "It wins."}
    results["plan"] = {"configs": 4}
    (folder / "results.json").write_text(json.dumps({**results, "per_class": {"sentence": "It costs nothing."}}))
    assert "It costs nothing." in page(capsys, folder)
    (folder / "results.json").write_text(json.dumps(results))
    assert "It wins." in page(capsys, folder)


def begun_table(folder: Path) -> tuple[Attributes, BaselinePlan]:
    """The record of a table of baselines, as a driver makes it: a row that is trained once, and one of five folds."""
    settings = BaselineSettings(scale="smoke", only="random,cnn-folds", storage=str(folder.parent), name=folder.name)
    plan = plan_baselines("baselines", settings, ROWS)
    folder.mkdir()
    study = open_study(folder / "study.db", create=True)
    for key, value in {"plan": plan.as_record(), **plan.resolved_settings(settings)}.items():
        study.set_user_attr(key, value)
    return Attributes(study, folder / "study.db"), plan


def test_a_table_of_baselines_counts_its_trainings_and_names_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "table"
    record, plan = begun_table(folder)
    total = len(plan.trainings)
    assert total > 5
    with one_driver(SweepHome(folder), is_new=False):
        record.write(STAGE, stage_start("baselines", 10, record.all()))
        found = shown(folder)
        assert (found.state, found.stage, found.seconds_left) == ("running", "baselines", None)
    for training in plan.trainings[:3]:
        record.write(training.key, {"metrics": {}, "figures": []})
    found = shown(folder)
    assert (found.state, found.script, found.scale) == ("interrupted", "baselines", "smoke")
    assert found.counts == {"of": "trainings", "planned": total, "tried": 3, "complete": 3}
    assert (found.best, found.confirmed, found.results) == (None, [], None)
    assert found.resume
    assert "sweeps/baselines.py --resume table" in found.resume
    assert f"3 of {total} trainings; 3 complete" in page(capsys, folder)

    for training in plan.trainings[3:]:
        record.write(training.key, {"metrics": {}, "figures": []})
    for name in ("results.json", "baselines.csv"):
        (folder / name).write_text("{}")
    assert shown(folder).state == "complete", "also if its driver was of a version that noted no end"
    record.write(ENDED, {"code": 0, "reason": "", "failures": []})
    found = shown(folder)
    assert (found.state, found.stage) == ("complete", None)
    assert found.files["table"] == str(folder / "baselines.csv")
    assert str(folder / "baselines.csv") in page(capsys, folder)
    code, out, _ = printed(capsys, "--storage", str(tmp_path), "--json")
    assert (code, json.loads(out)[0]["counts"]["tried"]) == (0, total)
