"""Outcome: what a sweep has found, and how it gets into its folder and into MLflow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from torch import Tensor

from adcore.metric_names import mean_metric
from adcore.train.build import split_train
from sweeps.engine.record.confirmation import Confirmation, references
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.description import winner_tags
from sweeps.engine.results.files import write_figure, write_summary, write_table
from sweeps.engine.results.image_variance import validation_weights
from sweeps.engine.results.per_class import PerClass, compare_per_class
from sweeps.engine.results.summary import Summary, confirmed_means, final_metrics, summarise
from sweeps.engine.results.tables import grid_sentence, point_names
from sweeps.engine.results.test_result import TestResult
from sweeps.engine.storage.errors import storage
from sweeps.engine.tracking.events import Tracking

__all__ = ["Outcome", "conclude", "publish"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """confirmed: the confirmed configurations, best first. own_best: each class's, if the classes were searched.

    by_class: what one configuration for all classes costs, if they were.
    """

    confirmed: list[Confirmation]
    own_best: Mapping[int, Confirmation]
    test: TestResult
    summary: Summary
    by_class: PerClass | None


def conclude(
    record: SweepRecord,
    confirmed: list[Confirmation],
    own_best: Mapping[int, Confirmation],
    test: TestResult,
    labels: Tensor,
) -> Outcome:
    """Compare the confirmed configurations. labels: of the train part, int64 [n]."""
    plan = record.plan
    validation = labels[split_train(plan.base, labels).validation]
    summary = summarise(
        confirmed,
        test,
        {each.number: name for name, each in references(record).items()},
        point_names=point_names(record, confirmed),
        validation_images=len(validation),
        validation_weights=validation_weights(plan.base, validation),
        same_training=not plan.search,
        is_grid=plan.space.is_grid,
    )
    return Outcome(
        confirmed,
        own_best,
        test,
        summary,
        compare_per_class(plan, confirmed, dict(own_best), test) if own_best else None,
    )


def publish(
    outcome: Outcome,
    record: SweepRecord,
    *,
    home: SweepHome,
    tracking: Tracking,
    commands: Sequence[str],
    seconds: float,
    state: str,
    time_sentences: Sequence[str] = (),
) -> None:
    """Write the outcome's files, and queue it for MLflow. Raises StorageError.

    commands: to browse, resume, repeat. time_sentences: what a time limit has changed.
    """
    plan, winner, means = record.plan, outcome.summary.winner, confirmed_means(outcome.confirmed, outcome.test)
    with storage(home.folder):
        artifacts = [
            write_table(home.table, record, means),
            write_summary(
                home.results,
                record,
                outcome.confirmed,
                outcome.summary,
                outcome.test,
                seconds,
                outcome.by_class,
                time_sentences=time_sentences,
            ),
            write_figure(home.class_figure(plan.metric), plan, winner, outcome.test),
            home.record,
        ]
    tested, opening = mean_metric(f"test_{plan.metric}"), len(record.read("test_openings")) - 1
    for number, values in means.items():
        tracking.close_confirmed("confirm", number, {tested: values[tested]}, opening=opening)
    for each in outcome.own_best.values():
        if plan.search_class(each.number) is not None:
            tracking.close_confirmed("confirm by class", each.number, {}, opening=opening)
    verdict = (
        grid_sentence(record, outcome.confirmed, outcome.summary) if plan.space.is_grid else outcome.summary.sentence
    )
    tracking.close_sweep(
        state,
        final_metrics(outcome.summary, outcome.test) | (outcome.by_class.metrics() if outcome.by_class else {}),
        artifacts,
        step=opening,
        params={} if plan.space.is_grid else winner.params,
        tags=winner_tags(record, outcome.confirmed, outcome.summary, verdict, commands),
    )
