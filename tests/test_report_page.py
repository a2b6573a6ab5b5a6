"""report.html: made of a real record, complete, escaped, and from nothing but the sweep's folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution

from adcore.datasets import DATASETS
from adcore.errors import UserError
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.confirmation import candidates, confirmations, references
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.stored_plan import read_record
from sweeps.engine.report.importances import importances, too_few
from sweeps.engine.report.main import main
from sweeps.engine.report.render import try_report, write_report
from sweeps.engine.report.search import Point, history, ladder_table, saving
from sweeps.engine.results.files import write_summary
from sweeps.engine.results.summary import summarise
from sweeps.engine.results.test_result import TestResult as Result
from tests.sweep_parts import Sweep, record_of, searched, small_plan

CLASSES = (0, 3, 6)


def quality(number: int, index: int, epoch: int) -> float:
    return 0.9 - 0.01 * index - 0.2 / epoch - 0.02 * abs(number - 4)


def finished(folder: Path, *, configs: int = 12, classes: tuple[int, ...] = CLASSES, seeds: int = 1) -> SweepHome:
    """The folder of a sweep that has come to its end, without models."""
    home = SweepHome(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plan = dataclasses.replace(small_plan(classes, configs=configs), seeds=seeds)
    record = searched(plan, quality, path=home.record)
    conclude(record, home)
    return home


def test_a_sweep_that_was_killed_before_its_first_proposal_has_no_results_yet(tmp_path: Path) -> None:
    home = SweepHome(tmp_path / "mine")
    home.folder.mkdir()
    record = record_of(plan := small_plan(), path=home.record)
    record.write("plan", plan.as_record())
    with pytest.raises(UserError, match="'mine' has no results yet: it ended before its first configuration; resume"):
        read_record(home)


def conclude(record: SweepRecord, home: SweepHome, *, time_sentences: Sequence[str] = ()) -> None:
    """Confirm the best, and write the results of a test part of 300 images."""
    plan = record.plan
    record.write("plan", json.loads(json.dumps(plan.as_record())))
    record.write("settings", {**dataclasses.asdict(SweepSettings(scale="smoke")), "storage": str(home.folder.parent)})
    record.write("test_openings", ["2026-01-01T00:00:00+00:00"])
    chosen = candidates(record)
    for each in chosen:
        for seed in plan.confirm_seeds:
            record.write_confirmed(
                each.number, seed, dict.fromkeys(plan.classes, 0.9 - 0.01 * each.number - 0.001 * seed)
            )
    confirmed = confirmations(record, chosen)
    models = [(each.number, seed) for each in confirmed for seed in each.by_seed]
    measured = {model: {i: {"auroc": 0.85 - 0.01 * model[0]} for i in plan.classes} for model in models}
    variance = {model: dict.fromkeys(plan.classes, 1e-4) for model in models}
    test = Result(measured, {"": 1e-4 * np.eye(len(models))}, 300, class_variance=variance)
    names = {each.number: name for name, each in references(record).items()}
    summary = summarise(confirmed, test, names, validation_images=100, same_training=True)
    write_summary(home.results, record, confirmed, summary, test, 65.0, time_sentences=time_sentences)


class Page(HTMLParser):
    """Tags, ids and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.tags.append(tag)
        self.ids += [str(own["id"])] if "id" in own else []
        self.addresses += [str(own[name]) for name in ("src", "href", "xlink:href") if name in own]
        if (tag == "img" and not own.get("alt")) or (tag == "svg" and not own.get("aria-label")):
            self.unnamed.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page_of(home: SweepHome) -> Page:
    return Page(write_report(home, read_record(home)).read_text("ascii"))


def test_the_page_answers_first_and_needs_nothing_outside_itself(tmp_path: Path) -> None:
    page = page_of(finished(tmp_path / "mine"))
    text = " ".join(" ".join(page.words).split())
    assert "The winner (configuration 0, default): a test AUROC of 0.85" in text
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert not {"script", "iframe", "object"} & set(page.tags)
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert page.unnamed == []
    assert len(page.ids) == len(set(page.ids)), "an id belongs to one figure"
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    assert page.tags.count("caption") == page.tags.count("table") >= 8


@pytest.mark.parametrize(("configs", "classes", "seeds"), [(1, (6,), 1), (4, CLASSES, 2), (24, CLASSES, 1)])
def test_a_small_sweep_has_a_report_that_says_what_it_cannot_tell(
    configs: int, classes: tuple[int, ...], seeds: int, tmp_path: Path
) -> None:
    home = finished(tmp_path / "mine", configs=configs, classes=classes, seeds=seeds)
    text = " ".join(page_of(home).words)
    assert ("Too few configurations" in text) == (configs < 8)
    assert ("cover other images only" in text) == (seeds == 1)
    assert home.report.stat().st_size < 1_000_000


def test_a_search_that_a_time_limit_ended_is_reported_with_what_it_tried_and_what_was_not_confirmed(
    tmp_path: Path,
) -> None:
    home, sentence = SweepHome(tmp_path), "There was no time to confirm 7, of 2 configurations."
    planned = small_plan(CLASSES, configs=12)
    searched(
        planned, lambda number, index, epoch: quality(number + 4, index, epoch), path=home.record
    )  # the first wins
    record = record_of(dataclasses.replace(planned, configs=500), path=home.record)
    record.write("clock", {"limit": 60.0, "used": 50.0, "startup": 1.0, "trials": []})
    conclude(record, home, time_sentences=[sentence])
    assert json.loads(home.results.read_text())["time"]["sentences"] == [sentence]
    text = " ".join(page_of(home).words)
    assert sentence in text
    assert "1 seed, the best of 12" in text
    assert "of 500" not in text
    assert f"1 fresh seed, the best of {len(candidates(record))} confirmed" in text


def test_names_are_text_whatever_they_contain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = '<b>$x</b> & "é"'
    info = dataclasses.replace(DATASETS["digits"], class_names=(name, *"123456789"))
    home = finished(tmp_path / "mine")
    for module in ("content", "classes", "render"):
        monkeypatch.setattr(f"sweeps.engine.report.{module}.describe", lambda _: info)
    page = page_of(home)
    assert "b" not in page.tags
    assert f"0 {name}" in page.words


def test_what_the_winners_models_decide_stands_beside_its_class(tmp_path: Path) -> None:
    home = SweepHome(tmp_path / "mine")
    home.folder.mkdir()
    record = searched(small_plan(CLASSES, configs=12), quality, path=home.record)
    by_class = {str(index): {"recall": 0.9 + index / 1000, "fpr": 0.125} for index in CLASSES[:2]}
    record.write("decisions", {"seed": 1, "by_class": by_class})
    conclude(record, home)
    words = page_of(home).words
    assert [word for word in words if re.fullmatch(r"[0-9.]+%", word)] == ["90.0%", "12.5%", "90.3%", "12.5%"]
    assert "decisions of the models with seed 1 on the test part" in " ".join(words)
    assert "decisions of the models" not in " ".join(page_of(finished(tmp_path / "other")).words)


def test_a_single_class_has_one_interval_whichever_table_shows_it(tmp_path: Path) -> None:
    results = json.loads(finished(tmp_path / "mine", classes=(3,), seeds=2).results.read_text())
    assert results["test_auroc_by_class"] == {"3": results["test"][""]}
    assert {len(values) for values in results["validation_by_class"].values()} == {2}


def test_what_stopped_where_adds_up(tmp_path: Path) -> None:
    record = read_record(finished(tmp_path / "mine"))
    rows = [list(map(int, row)) for row in ladder_table(record).rows]
    assert rows[0][3] == 12
    for lower, upper in itertools.pairwise(rows):
        assert upper[3] == lower[3] - lower[4] - sum(upper[5:])
    assert rows[-1][3] == record.ledger.counts()["complete"]
    epochs = sum(len(own) for each in record.configurations.values() for own in each.curves.values())
    assert f"trained {epochs} of the {12 * 3 * 8} class-epochs" in saving(record)


def test_configurations_that_diverged_or_failed_are_counted_and_have_no_value(tmp_path: Path) -> None:
    home = SweepHome(tmp_path)
    record = record_of(small_plan(CLASSES, configs=8), path=home.record)
    sweep = Sweep(
        record, lambda number, index, epoch: float("nan") if number in (1, 2) else quality(number, index, epoch)
    )
    sweep.run()
    conclude(record, home)
    rows = ladder_table(record).rows
    assert [sum(int(row[column]) for row in rows) for column in (5, 6)] == [2, 0]
    assert {each.number for each in history(record)}.isdisjoint({1, 2})
    assert "2 diverged" in " ".join(page_of(home).words)


def points(count: int, value: Any = lambda x: x["a"]) -> list[Point]:
    draws = np.random.default_rng(0).uniform(0, 1, (count, 2))
    params = [{"a": float(a), "b": float(b), "c": "x" if b < 0.5 else "y"} for a, b in draws]
    return [Point(number, each, value(each), number % 2 == 0, value(each)) for number, each in enumerate(params)]


SPACE = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1), "c": CategoricalDistribution(["x", "y"])}


def test_the_parameter_that_decides_comes_first_and_has_its_direction() -> None:
    first, *others = importances(points(40, lambda own: -own["a"]), SPACE)
    assert (first.name, first.correlation) == ("a", pytest.approx(-1))
    assert first.mean > 0.9
    assert len(first.by_seed) == len(set(first.by_seed)) == 5, "every seed has its own trees"
    assert {each.name: each.correlation is None for each in others} == {"b": False, "c": True}


def test_too_few_or_equal_configurations_are_said_to_be_so() -> None:
    assert too_few(points(8)) == ""
    assert "7 with a mean, of which 4 complete" in too_few(points(7))
    assert "0 complete" in too_few([dataclasses.replace(each, is_complete=False) for each in points(20)])
    assert "same mean" in too_few(points(20, lambda _: 0.5))


def test_a_failure_of_the_report_is_one_line_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = finished(tmp_path / "mine")
    record = read_record(home)

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("no\nfigure")

    monkeypatch.setattr(Figure, "savefig", fail)
    assert try_report(home, record) == []
    [line] = capsys.readouterr().err.splitlines()
    assert "no report was written (no)" in line
    assert "report.py mine --storage" in line
    assert not home.report.exists()


def test_the_command_makes_the_same_page_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = finished(tmp_path / "mine")
    first = write_report(home, read_record(home)).read_bytes()
    home.report.unlink()
    with pytest.raises(SystemExit) as ended:
        main("report", "help", ["mine", "--storage", str(tmp_path)])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"report:  {home.report}\n"
    assert home.report.read_bytes() == first


def test_what_is_missing_or_damaged_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = finished(tmp_path / "mine")

    def refused(name: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main("report", "help", [name, "--storage", str(tmp_path)])
        [line] = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2
        return line

    assert "did you mean 'mine'?" in refused("mime")
    whole = home.results.read_text()
    for damage, words in (("{", "not the results of a sweep"), ("{}", "lacks"), ("[]", "lacks")):
        home.results.write_text(damage)
        assert words in refused("mine")
    home.results.unlink()
    assert "the sweep has not finished" in refused("mine")
    home.results.write_text(whole)
    (home.figures / "class-0").mkdir(parents=True)
    (home.figures / "class-0" / "roc.png").write_text("no picture")
    assert re.search(r"roc\.png: not a readable picture", refused("mine"))


def test_a_table_of_baselines_has_no_report(tmp_path: Path) -> None:
    home = finished(tmp_path / "mine")
    record = read_record(home)
    assert isinstance(record.plan, Plan)
    record.write("plan", {"script": "baselines", "rows": []})
    with pytest.raises(UserError, match="has no report"):
        read_record(home)
