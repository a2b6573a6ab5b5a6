"""What a plan's stages cost at most, in class-epochs; of a sweep that goes on, what its record does not hold yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.time_budget import images_of
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import STAGE, class_epochs_left_of_stage, class_epochs_on_record
from sweeps.engine.show.counts import confirmed_configurations
from sweeps.engine.show.record_file import RecordFile, read_record

__all__ = ["class_epochs_of", "confirmed_count", "cost_left", "images_in_all"]

SEARCH, CONFIRM, SEARCH_BY_CLASS, CONFIRM_BY_CLASS = "search", "confirm", "search by class", "confirm by class"


def confirmed_count(plan: Plan) -> int:
    """The most configurations that are confirmed."""
    return plan.configs if plan.space.is_grid else plan.best + len(_references(plan))


def class_epochs_of(plan: Plan) -> dict[str, float]:
    """Class-epochs of each stage, at most, in their order; a stage that the plan does not have is left out."""
    confirmed = _confirmation(plan)
    stages: dict[str, float] = {} if plan.space.is_grid else {SEARCH: plan.budget}
    stages[CONFIRM] = confirmed_count(plan) * confirmed
    if plan.objective == "per-class":
        stages[SEARCH_BY_CLASS] = sum(plan.of_class(index).budget for index in plan.classes)
        stages[CONFIRM_BY_CLASS] = plan.best * confirmed
    return stages


def images_in_all(plan: Plan, class_epochs: Mapping[str, float]) -> tuple[float, float]:
    """Images that stages with so many class-epochs are trained on: of all searches, and of all confirmations."""
    sums = (sum(class_epochs.get(stage, 0) for stage in stages) for stages in (
        (SEARCH, SEARCH_BY_CLASS), (CONFIRM, CONFIRM_BY_CLASS)
    ))  # fmt: skip
    search, confirm = (
        images_of(config) / len(plan.classes) / config.epochs * count
        for config, count in zip((plan.search_config, plan.base), sums, strict=True)
    )
    return search, confirm


def cost_left(plan: Plan, home: SweepHome, *, is_extended: bool) -> dict[str, float]:
    """The same as `class_epochs_of`, less what the sweep's record holds. is_extended: the plan adds to the one there.

    Raises UserError for a record that cannot be read.
    """
    record = read_record(home.record)
    attributes, stages = record.attributes, class_epochs_of(plan)
    if is_extended or (SEARCH in stages and not attributes.get("searched")):
        left = {SEARCH: max(0.0, stages[SEARCH] - class_epochs_on_record(attributes))}
        return {**stages, **left, CONFIRM: stages[CONFIRM] - _confirmed_references(plan, record)}
    begun = attributes[STAGE]["name"] if STAGE in attributes else ""
    if begun not in stages or begun == SEARCH:  # the search has ended, and what follows has not begun
        return {**stages, SEARCH: 0.0} if SEARCH in stages else stages
    names = list(stages)
    ended = dict.fromkeys(names[: names.index(begun)], 0.0)
    return {**stages, **ended, begun: class_epochs_left_of_stage(attributes, plan.base.epochs)}


def _references(plan: Plan) -> list[str]:
    """The points that are confirmed however good they are."""
    names = [plan.space.default, *([plan.space.paper] if plan.paper and plan.space.paper else [])]
    return [name for name in names if name in plan.space.points]


def _confirmation(plan: Plan) -> float:
    """Class-epochs of confirming one configuration."""
    return plan.seeds * len(plan.classes) * plan.base.epochs


def _confirmed_references(plan: Plan, record: RecordFile) -> float:
    """Class-epochs on record of confirming those; which others of an extended sweep stay among the best is unknown."""
    names: list[str] = _references(plan)
    trained: list[dict[str, Any]] = [each for each in confirmed_configurations(record) if each["name"] in names]
    return sum(len(each["confirm"]) for each in trained) * len(plan.classes) * plan.base.epochs
