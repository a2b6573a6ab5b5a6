"""What a finished sweep says about itself in MLflow: answer, question, what was compared, how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adcore.metric_names import LABELS, in_words, with_interval
from sweeps.engine.planning.labels import point_name
from sweeps.engine.planning.plan import Plan
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.summary import Summary

__all__ = ["describe", "label_of", "winner_tags"]

#: MLflow's tag for a run's description.
NOTE = "mlflow.note.content"


def winner_tags(
    record: SweepRecord, confirmed: Sequence[Confirmation], summary: Summary, verdict: str, commands: Sequence[str]
) -> dict[str, str]:
    """The tags of a finished sweep's run: its description and, unless it is a grid, its winner's name."""
    plan, note = record.plan, {NOTE: describe(record, confirmed, summary, verdict, commands)}
    return note if plan.space.is_grid else note | {"winner": label_of(plan, summary.winner)}


def describe(
    record: SweepRecord, confirmed: Sequence[Confirmation], summary: Summary, verdict: str, commands: Sequence[str]
) -> str:
    """The description of the sweep's run, in Markdown.

    verdict: the sentence on what is beyond noise. commands: to browse, resume and repeat, one line each.
    """
    plan = record.plan
    parts = [f"{_answer_sentence(plan, summary)} {verdict}".strip(), _question_sentence(plan)]
    if not plan.space.is_grid:
        parts.append(_table(summary.winner.params))
    parts += [_comparison_sentence(record, confirmed, summary.winner), "\n".join(["```", *commands, "```"])]
    return "\n\n".join(parts)


def label_of(plan: Plan, confirmed: Confirmation) -> str:
    """A confirmed configuration as MLflow and the report name it."""
    return plan.label(confirmed.number, confirmed.params)


def _question_sentence(plan: Plan) -> str:
    base, classes = plan.base, len(plan.classes)
    what = "Which variant gives" if plan.space.is_grid else f"Which {', '.join(plan.space.names)} give"
    over = f"the mean over {classes} classes" if classes > 1 else "one class"
    best = f"the best {LABELS[plan.metric]} on `{base.dataset}`"
    protocol = f"protocol `{base.protocol}` (trained {base.training_in_words})"
    return f"{what} detector `{base.detector}` {best}, {over}, {protocol}?"


def _answer_sentence(plan: Plan, summary: Summary) -> str:
    if plan.space.is_grid:
        return ""
    intervals = "; ".join(
        f"{with_interval(interval.value, interval.low, interval.high)}{f' on {name} anomalies' if name else ''}"
        for name, interval in summary.test.items()
    )
    number, name = summary.winner.number, label_of(plan, summary.winner)
    numbered = f"**{name}**" + (f" (configuration {number})" if point_name(summary.winner.params, plan.space) else "")
    return f"{numbered}: test {in_words(plan.metric)} {intervals}."


def _table(params: dict[str, Any]) -> str:
    rows = [f"| {name} | {value:.5g} |" if isinstance(value, float) else f"| {name} | {value} |"
            for name, value in params.items()]  # fmt: skip
    return "\n".join(["| winner | |", "|---|---|", *rows])


def _comparison_sentence(record: SweepRecord, confirmed: Sequence[Confirmation], winner: Confirmation) -> str:
    plan, tried = record.plan, len(record.configurations)
    names = ", ".join(f"`{label_of(plan, confirmation)}`" for confirmation in confirmed)
    seeds = ", ".join(map(str, winner.by_seed))
    of = "All variants were trained" if plan.space.is_grid else f"Of {tried} configurations these were retrained"
    return f"{of} with fresh seeds ({seeds}): {names}."
