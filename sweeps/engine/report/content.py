"""What the report says about the answer: plain values from results.json and the record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from adcore.datasets import describe
from adcore.metric_names import in_words, with_interval
from sweeps.engine.planning.labels import count_of, score_in_words
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.time_budget import normal_images, updates_of, warning_of_few_updates
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.report.table import Table, interval_cells, number

__all__ = ["Content", "content"]

#: One value with the ends of its interval.
Bounded = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Content:
    """The answer in sentences, and its tables. differences, class_intervals: by name, for their figures.

    subject: whose parameters and models are shown: the winner, or the point that the others are compared with.
    own: each class's own best configuration, with --objective per-class, and a sentence about them.
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


def content(record: SweepRecord, results: Mapping[str, Any], name: str) -> Content:
    """The content of the report. results: of results.json; name: of the sweep. Raises LookupError if one is missing."""
    plan, metric = record.plan, in_words(record.plan.metric)
    label = (
        f"test {metric} minus that of {plan.space.default}"
        if plan.space.is_grid
        else f"test {metric}: winner minus this"
    )
    differences = {comparison["configuration"]: comparison["difference"] for comparison in results["comparisons"]}
    names = {confirmed["configuration"]: _named(confirmed) for confirmed in results["confirmed"]}
    by_class = _class_intervals(plan, results)
    return Content(
        title=f"{plan.script}: sweep {name}",
        subject=_subject(plan, results),
        answer=_answer(plan, results),
        setup=_setup(plan, results),
        parameters=_parameters(plan, results),
        stages=_stages(plan, results, tried=len(record.configurations)),
        confirmed=_confirmed(results, differences, label),
        classes=_classes(record, results),
        own=_own(plan, results["per_class"]) if "per_class" in results else None,
        differences={names[key]: _bounded(difference) for key, difference in differences.items() if difference},
        differences_label=label,
        class_intervals=by_class,
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
        ["fresh seeds", ", ".join(map(str, results["seeds"]))],
        ["test part opened", ", ".join(results["test_openings"])],
    ]  # fmt: skip
    return Table("what was run", ("", ""), rows)


def _parameters(plan: Plan, results: Mapping[str, Any]) -> Table:
    points = {name: plan.space.points.get(name) for name in (plan.space.default, plan.space.paper) if name}
    winner = results["winner"]
    others = points.items() if not plan.space.is_grid else ()
    shown = {name: point for name, point in others if point and any(point[key] != winner[key] for key in point)}
    rows = [
        [name, number(winner[name]), *(number(point[name]) for point in shown.values())] for name in plan.space.names
    ]
    return Table("parameters", ("parameter", _subject(plan, results), *shown), rows)


def _stages(plan: Plan, results: Mapping[str, Any], *, tried: int) -> Table:
    seeds, confirmed = len(results["seeds"]), len(results["confirmed"])
    models = f"the same {count_of(seeds, 'model')}"
    rows: list[Sequence[str]] = []
    if results["search_value"] is not None:
        alone = number(None) if results["search"] is None else ""
        cells = interval_cells(results["search"] or {"value": results["search_value"], "low": 0, "high": 0})
        smaller = ", smaller trainings" if plan.search else ""
        rows.append(["search, validation", cells[0], alone or cells[1], f"1 seed, the best of {tried}{smaller}"])
    best = f", the best of {confirmed} confirmed" if confirmed > 1 and not plan.space.is_grid else ""
    rows.append(["confirm, validation", *interval_cells(results["confirm"]), count_of(seeds, "fresh seed") + best])
    for name, interval in results["test"].items():
        rows.append([f"test, {name} anomalies" if name else "test", *interval_cells(interval), models])
    metric = in_words(plan.metric)
    return Table(f"mean {metric} by stage", ("stage", f"mean {metric}", "95 % interval", "of"), rows)


def _confirmed(results: Mapping[str, Any], differences: Mapping[int, Any], label: str) -> Table:
    rows: list[Sequence[str]] = []
    for confirmed in results["confirmed"]:
        means = (
            _mean([] if confirmed["search"] is None else [confirmed["search"]]),
            _mean(confirmed["confirm"]),
            _mean(confirmed["test"]),
        )
        lead = interval_cells(differences.get(confirmed["configuration"]), signed=True)
        rows.append([_named(confirmed), *means, *lead])
    columns = ("configuration", "search", "confirmed", "test", "difference", "95 % interval")
    return Table(f"what was confirmed; difference: {label}", columns, rows)


def _classes(record: SweepRecord, results: Mapping[str, Any]) -> Table:
    plan, winner = record.plan, results["winner"]["configuration"]
    names, intervals = describe(plan.base.dataset).class_names, results.get(f"test_{plan.metric}_by_class", {})
    confirmed = [record.confirmation_values(winner, seed) for seed in results["seeds"]]
    rows: list[Sequence[str]] = []
    for index in sorted(plan.classes):
        values = results["test_by_class"][plan.metric][str(index)]
        cells = interval_cells(intervals.get(str(index)))
        validation = _mean([aurocs[index] for aurocs in confirmed if index in aurocs])
        rows.append([f"{index} {names[index]}", validation, _mean(values), cells[1]])
    columns = (plan.base.exposure.named_class, "validation", "test", "95 % interval")
    return Table(f"{in_words(plan.metric)} by class", columns, rows)


def _own(plan: Plan, per_class: Mapping[str, Any]) -> tuple[Table, str]:
    names = describe(plan.base.dataset).class_names
    rows = [
        [f"{index} {names[int(index)]}", str(best["configuration"]), _mean(best["confirm"]), _mean(best["test"]),
         *(number(best["params"][name]) for name in plan.space.names)]
        for index, best in per_class["by_class"].items()
    ]  # fmt: skip
    columns = (plan.base.exposure.named_class, "configuration", "confirmed", "test", *plan.space.names)
    return Table("each class's own best configuration", columns, rows), per_class["sentence"]


def _class_intervals(plan: Plan, results: Mapping[str, Any]) -> dict[str, Bounded]:
    names = describe(plan.base.dataset).class_names
    intervals = results.get(f"test_{plan.metric}_by_class", {})
    return {f"{index} {names[int(index)]}": _bounded(interval) for index, interval in intervals.items() if interval}


def _subject(plan: Plan, results: Mapping[str, Any]) -> str:
    name = _named(_winner(results))
    return name if plan.space.is_grid else f"the winner ({name})"


def _upper(text: str) -> str:
    """With a capital first letter; `capitalize` would change the others as well."""
    return text[:1].upper() + text[1:]


def _winner(results: Mapping[str, Any]) -> Mapping[str, Any]:
    number = results["winner"]["configuration"]
    return next(confirmed for confirmed in results["confirmed"] if confirmed["configuration"] == number)


def _named(confirmed: Mapping[str, Any]) -> str:
    """The name of a confirmed configuration: of its point if it has one."""
    return confirmed["name"] or f"configuration {confirmed['configuration']}"


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f}" if values else number(None)


def _bounded(interval: Mapping[str, float]) -> Bounded:
    return interval["value"], interval["low"], interval["high"]
