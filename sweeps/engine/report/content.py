"""What the report says about the answer: plain values from results.json and the record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from adcore.datasets import describe
from adcore.metric_names import in_words, with_interval
from sweeps.engine.planning.labels import count_of, score_in_words
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.time_budget import normal_images, updates_of, warning_of_few_updates
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.report.classes import class_intervals, class_table, own_best_table
from sweeps.engine.report.table import Bounded, Table, bounded, interval_cells, mean_cell, number
from sweeps.engine.results.tables import images_in_words, rank_in_search

__all__ = ["Content", "content"]


@dataclasses.dataclass(frozen=True)
class Content:
    """The answer in sentences, and its tables. differences, class_intervals: by name, for their figures.

    subject: whose parameters and models are shown: the winner, or the point that the others are compared with.
    own: each class's own best configuration, with --objective per-class, and a sentence about them. decided_by: the
    seed of the models whose decisions are shown; empty if they are not on record.
    """

    title: str
    subject: str
    answer: list[str]
    setup: Table
    parameters: Table
    stages: Table
    confirmed: Table
    classes: Table
    own: tuple[Table, str] | None
    differences: dict[str, Bounded]
    differences_label: str
    class_intervals: dict[str, Bounded]
    decided_by: str


def content(record: SweepRecord, results: Mapping[str, Any], name: str) -> Content:
    """The content of the report. results: of results.json; name: of the sweep. Raises LookupError if one is missing."""
    plan, metric = record.plan, in_words(record.plan.metric)
    label = (
        f"test {metric} minus that of {plan.space.default}"
        if plan.space.is_grid
        else f"test {metric}: winner minus this"
    )
    differences = {comparison["configuration"]: comparison["difference"] for comparison in results["comparisons"]}
    names = {confirmed["configuration"]: _named(plan, confirmed) for confirmed in results["confirmed"]}
    return Content(
        title=f"{plan.script}: sweep {name}",
        subject=_subject(plan, results),
        answer=_answer(plan, results),
        setup=_setup(plan, results),
        parameters=_parameters(plan, results),
        stages=_stages(plan, results, rank=rank_in_search(record, results["winner"]["configuration"])),
        confirmed=_confirmed(results, names, differences, label),
        classes=class_table(record, results),
        own=own_best_table(plan, results["per_class"]) if "per_class" in results else None,
        differences={names[key]: bounded(difference) for key, difference in differences.items() if difference},
        differences_label=label,
        class_intervals=class_intervals(plan, results),
        decided_by=str((results.get("decisions") or {}).get("seed", "")),
    )


def _answer(plan: Plan, results: Mapping[str, Any]) -> list[str]:
    seeds = count_of(len(results["seeds"]), "fresh seed")
    names = describe(plan.base.dataset).class_names
    over = f"the class {names[plan.classes[0]]}" if len(plan.classes) == 1 else f"all {len(plan.classes)} classes"
    measured = with_interval(**results["test"][""])
    sentences = [
        f"{_upper(_subject(plan, results))}: a test {in_words(plan.metric)} of {measured} over {over} of "
        f"{plan.base.dataset}, with {seeds}."
    ]
    sentences.append(results["sentence"])
    sentences += [warning] if (warning := warning_of_few_updates(plan.base)) else []
    sentences += results.get("time", {}).get("sentences", [])
    if len(results["seeds"]) == 1:
        sentences.append("With one fresh seed the intervals cover other images only, not other seeds.")
    if (openings := len(results["test_openings"])) > 1:
        sentences.append(f"The test part was opened {openings} times for this sweep: it is no longer untouched.")
    return sentences


def _setup(plan: Plan, results: Mapping[str, Any]) -> Table:
    base, names = plan.base, describe(plan.base.dataset).class_names
    states = ", ".join(f"{count} {state}" for state, count in results["states"].items() if count)
    rows = [
        ["data set", f"{base.dataset}, protocol {base.protocol}"],
        ["trained", base.training_in_words],
        ["normal images", f"{normal_images(base)} in a training, of at most {count_of(updates_of(base), 'update')}"],
        [f"{base.exposure.named_class}es" if len(plan.classes) > 1 else base.exposure.named_class,
         ", ".join(names[index] for index in sorted(plan.classes))],
        ["detector", f"{base.detector}, width {base.width}, {count_of(base.epochs, 'epoch')}"],
        ["configurations", f"{plan.configs} points, all trained to the end" if plan.space.is_grid else states],
        *([["anomaly score", score]] if (score := score_in_words(base, plan.space)) else []),
        *([] if plan.space.is_grid else [["sampler", plan.sampler]]),
        *_image_rows(results),
        ["fresh seeds", ", ".join(map(str, results["seeds"]))],
        ["test part opened", ", ".join(results["test_openings"])],
    ]  # fmt: skip
    return Table("what was run", ("", ""), rows)


def _image_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """The numbers of validation and test images of a single class; none if they are not on record."""
    by_class = (results.get("decisions") or {}).get("by_class")
    classes = len(results["plan"]["base"]["classes"])
    return list(map(list, images_in_words(by_class, classes).items())) if by_class else []


def _parameters(plan: Plan, results: Mapping[str, Any]) -> Table:
    points = {name: plan.space.points.get(name) for name in (plan.space.default, plan.space.paper) if name}
    winner = results["winner"]
    others = points.items() if not plan.space.is_grid else ()
    shown = {name: point for name, point in others if point and any(point[key] != winner[key] for key in point)}
    rows = [
        [name, number(winner[name]), *(number(point[name]) for point in shown.values())] for name in plan.space.names
    ]
    return Table("parameters", ("parameter", _subject(plan, results), *shown), rows)


def _stages(plan: Plan, results: Mapping[str, Any], *, rank: str) -> Table:
    seeds, confirmed = len(results["seeds"]), len(results["confirmed"])
    models = "the same model" if seeds == 1 else f"the same {seeds} models"
    rows: list[Sequence[str]] = []
    if results["search_value"] is not None:
        alone = number(None) if results["search"] is None else ""
        cells = interval_cells(results["search"] or {"value": results["search_value"], "low": 0, "high": 0})
        smaller = ", smaller trainings" if plan.search else ""
        rows.append(["search, validation", cells[0], alone or cells[1], f"1 seed, {rank}{smaller}"])
    best = f", the best of {confirmed} confirmed" if confirmed > 1 and not plan.space.is_grid else ""
    rows.append(["confirm, validation", *interval_cells(results["confirm"]), count_of(seeds, "fresh seed") + best])
    for name, interval in results["test"].items():
        rows.append([f"test, {name} anomalies" if name else "test", *interval_cells(interval), models])
    metric = in_words(plan.metric)
    return Table(f"mean {metric} by stage", ("stage", f"mean {metric}", "95 % interval", "of"), rows)


def _confirmed(
    results: Mapping[str, Any], names: Mapping[int, str], differences: Mapping[int, Any], label: str
) -> Table:
    rows: list[Sequence[str]] = []
    for confirmed in results["confirmed"]:
        means = (
            mean_cell([] if confirmed["search"] is None else [confirmed["search"]]),
            mean_cell(confirmed["confirm"]),
            mean_cell(confirmed["test"]),
        )
        lead = interval_cells(differences.get(confirmed["configuration"]), signed=True)
        rows.append([names[confirmed["configuration"]], *means, *lead])
    columns = ("configuration", "search", "confirmed", "test", "difference", "95 % interval")
    return Table(f"what was confirmed; difference: {label}", columns, rows)


def _subject(plan: Plan, results: Mapping[str, Any]) -> str:
    winner = _winner(results)
    if plan.space.is_grid:
        return _named(plan, winner)
    named = f", {winner['name']}" if winner["name"] else ""
    return f"the winner (configuration {winner['configuration']}{named})"


def _upper(text: str) -> str:
    """With a capital first letter; `capitalize` would change the others as well."""
    return text[:1].upper() + text[1:]


def _winner(results: Mapping[str, Any]) -> Mapping[str, Any]:
    number = results["winner"]["configuration"]
    return next(confirmed for confirmed in results["confirmed"] if confirmed["configuration"] == number)


def _named(plan: Plan, confirmed: Mapping[str, Any]) -> str:
    """A confirmed configuration: its number, and the name of its point if it has one; the name alone in a grid."""
    number, name = f"configuration {confirmed['configuration']}", confirmed["name"]
    return name if name and plan.space.is_grid else f"{number} ({name})" if name else number
