"""The lines and tables printed at the end of a sweep."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from adcore.config import LOSS_WEIGHTS
from adcore.datasets import describe
from adcore.metric_names import in_words, interval_ends
from sweeps.engine.planning.labels import class_label, count_of, over_classes, point_name
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.time_budget import warning_of_few_updates
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.intervals import Interval, signed
from sweeps.engine.results.summary import Summary
from sweeps.engine.results.test_result import TestResult

__all__ = ["final_report", "grid_sentence", "images_in_words", "point_names", "rank_in_search", "stage_table"]


def final_report(
    record: SweepRecord, confirmed: list[Confirmation], summary: Summary, test: TestResult
) -> list[str | Table]:
    """The lines and tables that a finished sweep prints, in order."""
    note = [warning] if (warning := warning_of_few_updates(record.plan.base)) else []
    if record.plan.space.is_grid:
        sentences = [grid_sentence(record, confirmed, summary), _protocol_line(record.plan)]
        return [grid_table(record, confirmed, summary, test), *sentences, *note]
    lines = winner_lines(record, confirmed, summary)
    tables = [class_table(record.plan, summary, test), stage_table(record, summary, of=len(confirmed))]
    return [*lines, *tables, *decision_lines(record), *note]


def winner_lines(record: SweepRecord, confirmed: list[Confirmation], summary: Summary) -> list[str]:
    """The confirmed configurations side by side, the winner's sampled fields, and whether its lead is beyond noise."""
    winner = confirmed[0]
    lines = [f"search and confirm, validation {in_words(record.plan.metric)}, {_over(record.plan)}:"]
    names = point_names(record, confirmed)
    for each in confirmed:
        name = f" ({names[each.number]})" if names[each.number] else ""
        search_value = (
            f"{each.configuration.mean:.4f}" if each.configuration.mean is not None else each.configuration.state
        )
        by_seed = ", ".join(f"{mean:.4f}" for mean in each.means)
        seeds = f" (seeds: {by_seed})" if len(each.means) > 1 else ""
        lines.append(f"  configuration {each.number}{name}: search {search_value}, confirm {each.mean:.4f}{seeds}")
    lines += _unconfirmed_lines(record, confirmed)
    name = names[winner.number]
    lines.append(f"winner: configuration {winner.number}{f' ({name})' if name else ''}")
    lines += [f"  {name:28} {_shown(value)}" for name, value in _fields(record.plan, winner)]
    for each in summary.comparisons[1:]:
        name, lead = f" ({each.name})" if each.name else "", each.difference
        between = f"{signed(lead.value)} ({signed(lead.low)}, {signed(lead.high)})"
        lines.append(f"test, winner - configuration {each.configuration}{name}: {between}")
    lines.append(summary.sentence)
    if len(winner.by_seed) == 1:
        lines.append("With one fresh seed the intervals cover other images only, not other seeds.")
    lines.append(_protocol_line(record.plan))
    if (openings := len(record.read("test_openings"))) > 1:
        lines.append(f"The test part was opened {openings} times for this sweep: it is no longer untouched.")
    return lines


def stage_table(record: SweepRecord, summary: Summary, *, of: int) -> Table:
    """Search, confirm and test side by side. of: how many were confirmed, of which the winner is the best."""
    plan, seeds = record.plan, len(summary.winner.by_seed)
    table = Table(title=f"{in_words(plan.metric)} of configuration {summary.winner.number}, {_over(plan)}")
    for name in ("", "mean", "95 % interval"):
        table.add_column(name, justify="right" if name else "left")
    table.add_column("of")
    chosen = f"1 seed, {rank_in_search(record, summary.winner.number)}"
    if summary.search is None and summary.winner.configuration.mean is not None:
        table.add_row(
            "search, validation", f"{summary.winner.configuration.mean:.4f}", "", f"{chosen}, smaller trainings"
        )
    elif summary.search is not None:
        table.add_row("search, validation", *_interval_cells(summary.search), chosen)
    best = f", the best of {of} confirmed" if of > 1 else ""
    table.add_row("confirm, validation", *_interval_cells(summary.confirm), f"{count_of(seeds, 'fresh seed')}{best}")
    for name, each in summary.test.items():
        models = "the same model" if seeds == 1 else f"the same {seeds} models"
        table.add_row(f"test, {name} anomalies" if name else "test", *_interval_cells(each), models)
    return table


def rank_in_search(record: SweepRecord, number: int) -> str:
    """How good a configuration was in the search: the winner of the confirmation may not have been its best."""
    ranked, of = [each.number for each in record.best(record.plan.configs)], len(record.configurations)
    return f"no. {ranked.index(number) + 1} of {of}" if number in ranked[1:] else f"the best of {of}"


def class_table(plan: Plan, summary: Summary, test: TestResult) -> Table:
    """Validation and test values of the winner by class, mean and standard deviation over seeds."""
    names, winner = describe(plan.base.dataset).class_names, summary.winner
    comparisons = {name: test.by_class(winner.number, test.named(name)) for name in test.covariance}
    seeds = len(winner.by_seed)
    spread = f"mean and standard deviation over {seeds} fresh seeds" if seeds > 1 else "one fresh seed"
    table = Table(title=f"the winner by class: {spread}")
    table.add_column(plan.base.exposure.named_class)
    for name in ("validation", *(f"test {name}".rstrip() for name in comparisons)):
        table.add_column(name, justify="right", no_wrap=True)
    for index in winner.by_class():
        validated = [values[index] for values in winner.by_seed.values()]
        cells = [_mean_and_spread(each) for each in (validated, *(values[index] for values in comparisons.values()))]
        table.add_row(class_label(names, index), *cells)
    return table


def decision_lines(record: SweepRecord) -> list[str]:
    """A line on what the winner's models decide on the test part; none in a record that does not tell."""
    decisions = record.read("decisions") or {}
    if not (by_class := decisions.get("by_class")):
        return []
    recall, fpr = (statistics.fmean(each[name] for each in by_class.values()) for name in ("recall", "fpr"))
    of = len(record.plan.classes)
    missing = f" of {of}" if len(by_class) < of else ""
    over = f", mean over {len(by_class)}{missing} classes" if of > 1 else ""
    return [
        f"decisions on the test part, of the winner's models with seed {decisions['seed']}, at the threshold with the "
        f"best F1 on validation{over}: {recall:.1%} of the anomalies found, {fpr:.1%} of the normal images flagged "
        "(for fewer false alarms: --false-positive-rate of sweeps/predict.py)",
        *(f"{part}: {counts}" for part, counts in images_in_words(by_class, of).items()),
    ]


def images_in_words(by_class: Mapping[str, Mapping[str, Any]], classes: int) -> dict[str, str]:
    """How many images of each kind validation and test have, if there is a single class. by_class: its decisions."""
    only, found = next(iter(by_class.values())), dict[str, str]()
    for part in ("validation", "test") if classes == 1 and "validation" in only else ():
        normal, anomalies = only[part]
        found[f"{part} images"] = f"{normal} normal, {anomalies} {'anomaly' if anomalies == 1 else 'anomalies'}"
    return found


def grid_table(record: SweepRecord, confirmed: list[Confirmation], summary: Summary, test: TestResult) -> Table:
    """Every point of a grid: its means, and its difference to the default one."""
    seeds = count_of(len(summary.winner.by_seed), "fresh seed")
    table = Table(title=f"{in_words(record.plan.metric)}, {_over(record.plan)}, {seeds}")
    compared = (f"test, minus {record.plan.space.default}", "95 % interval", "") if summary.comparisons else ()
    for name in ("", "validation", "test", *compared):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    by_number = {each.configuration: each.difference for each in summary.comparisons}
    names = point_names(record, confirmed)
    for each in confirmed:
        name = names[each.number]
        values = f"{each.mean:.4f}", f"{statistics.fmean(test.means(each.number)):.4f}"
        lead = by_number.get(each.number)
        if lead is None:
            table.add_row(name, *values)
        else:
            verdict = "beyond noise" if lead.excludes_zero else "within noise"
            table.add_row(name, *values, signed(lead.value), f"({signed(lead.low)}, {signed(lead.high)})", verdict)
    return table


def grid_sentence(record: SweepRecord, confirmed: list[Confirmation], summary: Summary) -> str:
    """The sentence on which points differ from the default one by more than noise."""
    if not summary.comparisons:
        return f"{record.plan.space.default.capitalize()} was not trained to the end: there is nothing to compare with."
    names = point_names(record, confirmed)
    beyond = [
        f"{names[each.configuration]} ({signed(each.difference.value)})"
        for each in summary.comparisons
        if each.difference.excludes_zero
    ]
    differ = ", ".join(beyond) or "none"
    return f"Beyond noise from {record.plan.space.default}, of {len(summary.comparisons)} on the test part: {differ}."


def point_names(record: SweepRecord, confirmed: Sequence[Confirmation]) -> dict[int, str]:
    """By configuration, the name of each that is a point of the space, and "" for the others."""
    return {each.number: point_name(each.params, record.plan.space) for each in confirmed}


def _over(plan: Plan) -> str:
    return over_classes(describe(plan.base.dataset).class_names, plan.classes)


def _protocol_line(plan: Plan) -> str:
    return f"Protocol {plan.protocol}: trained {plan.base.training_in_words}."


def _unconfirmed_lines(record: SweepRecord, confirmed: list[Confirmation]) -> list[str]:
    """A line for each point that was tried and not confirmed, and for the search's best besides; one for the others."""
    confirmed_numbers, lines = {each.number for each in confirmed}, list[str]()
    open_ones = [each for each in record.configurations.values() if each.number not in confirmed_numbers]
    names = {each.number: point_name(each.params, record.plan.space) for each in open_ones}
    unnamed = [each for each in record.best(record.plan.configs) if names.get(each.number) == ""]
    for each in (*(each for each in open_ones if names[each.number]), *unnamed[:1]):
        name = f" ({name})" if (name := names[each.number]) else ""
        at = "" if each.value is None else f", {each.value:.4f} on rung {each.rung + 1} of {len(record.ladder.rungs)}"
        lines.append(f"  configuration {each.number}{name}: {each.state}{at}, not confirmed")
    if others := len(open_ones) - len(lines):
        lines.append(f"  {count_of(others, 'other configuration')}, not confirmed: all are in results.csv")
    return lines


def _shown(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _fields(plan: Plan, winner: Confirmation) -> list[tuple[str, Any]]:
    weights = {f"weight_{name}" for name in LOSS_WEIGHTS} & set(winner.params)
    fixed = {"weight_reconstruction": plan.base.weight_reconstruction} if weights else {}  # the unit of the others
    return [(name, value) for name, value in (fixed | winner.params).items()]


def _interval_cells(interval: Interval) -> tuple[str, str]:
    return f"{interval.value:.4f}", interval_ends(interval.low, interval.high)


def _mean_and_spread(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean
