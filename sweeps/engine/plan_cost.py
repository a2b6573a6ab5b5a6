"""What a plan's stages cost at most, in class-epochs; of a sweep that goes on, how much of that is left."""

from __future__ import annotations

import dataclasses
import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adcore.errors import UserError
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.time_budget import images_of
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import CLOCK
from sweeps.engine.storage.errors import StorageError, one_line, storage

if TYPE_CHECKING:
    from sweeps.engine.record.configuration import Configuration
    from sweeps.engine.record.record import SweepRecord

__all__ = ["Left", "class_epochs_of", "confirmed_count", "images_in_all", "left_of"]


@dataclasses.dataclass(frozen=True)
class Left:
    """What is left of a sweep that goes on. class_epochs: by stage.

    seconds_used: of its time limit; gpu_seconds_used: the same of all GPUs together.
    """

    class_epochs: Mapping[str, float]
    seconds_used: float
    gpu_seconds_used: float


def confirmed_count(plan: Plan) -> int:
    """The most configurations that are confirmed."""
    return plan.configs if plan.space.is_grid else plan.best + len(plan.reference_points)


def class_epochs_of(plan: Plan) -> dict[str, float]:
    """Class-epochs of each stage, at most, in their order; a stage that the plan does not have is left out."""
    confirmed = _class_epochs_of_confirming(plan)
    stages: dict[str, float] = {} if plan.space.is_grid else {"search": plan.budget}
    stages["confirm"] = confirmed_count(plan) * confirmed
    if plan.objective == "per-class":
        stages["search by class"] = sum(plan.of_class(index).budget for index in plan.classes)
        stages["confirm by class"] = plan.best * confirmed
    return stages


def images_in_all(plan: Plan, class_epochs: Mapping[str, float]) -> tuple[float, float]:
    """Images that stages with so many class-epochs are trained on: of all searches, and of all confirmations."""
    search = confirm = 0.0
    for stage, count in class_epochs.items():
        config = plan.config_of(stage)
        images = count * images_of(config) / len(plan.classes) / config.epochs
        search, confirm = (search + images, confirm) if "search" in stage else (search, confirm + images)
    return search, confirm


def left_of(plan: Plan, home: SweepHome, *, is_extended: bool) -> Left:
    """What is left to train of a sweep on record. is_extended: the plan adds to the one there.

    Found on a copy of the record, with which is done what the sweep does as it starts. Raises UserError for a damaged
    one.
    """
    from sweeps.engine.record.extend import extend_record
    from sweeps.engine.record.record import SweepRecord
    from sweeps.engine.record.study import open_study, storage_of

    with _copied(home.record) as copy:
        if is_extended:
            extend_record(copy, plan)
        study = open_study(copy, create=False)
        try:
            record = SweepRecord(study, plan, path=copy)
            clock = {"used": 0.0, "gpu_seconds": 0.0} | (record.read(CLOCK) or {})
            return Left(_class_epochs_left(record), clock["used"], clock["gpu_seconds"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{home.record}: damaged, or the record of another version ({type(error).__name__}: {one_line(error)})"
            ) from error
        finally:
            storage_of(study).remove_session()


@contextmanager
def _copied(record: Path) -> Generator[Path]:
    """A copy of a record that a driver may be writing. Raises UserError if there is no room for it."""
    try:
        with tempfile.TemporaryDirectory() as folder, storage(copy := Path(folder, record.name)):
            with (
                closing(sqlite3.connect(f"{record.as_uri()}?mode=ro", uri=True, timeout=30)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            yield copy
    except (OSError, StorageError) as error:
        raise UserError(f"{record}: cannot be copied to the temporary folder ({error})") from error


def _class_epochs_left(record: SweepRecord) -> dict[str, float]:
    from sweeps.engine.record.confirmation import candidates, chosen_in_time, references

    plan, stages = record.plan, class_epochs_of(record.plan)
    if record.read("test") is not None:
        return dict.fromkeys(stages, 0.0)
    if plan.space.is_grid:
        return {"confirm": _untrained(record, record.open_grid())}
    left = {"search": _unspent(record)}
    if record.is_searched:
        left["confirm"] = _untrained(record, chosen_in_time(record, candidates(record)))
    else:
        known = references(record).values()  # who the best will be is not known
        others = confirmed_count(plan) - len(known)
        left["confirm"] = _untrained(record, known) + others * _class_epochs_of_confirming(plan)
    if plan.objective == "per-class":
        records = [record.of_class(index) for index in plan.classes]
        left["search by class"] = sum(map(_unspent, records))
        left["confirm by class"] = sum(map(_unconfirmed, records))
    return left


def _unspent(record: SweepRecord) -> float:
    """Class-epochs that a search may still spend."""
    return 0.0 if record.is_searched else max(0.0, record.ladder.budget - record.ladder.spent)


def _unconfirmed(record: SweepRecord) -> float:
    """Class-epochs of confirming the best of a class's own search."""
    plan = record.plan
    if record.is_searched:
        return _untrained(record, record.best(plan.best))
    return plan.best * _class_epochs_of_confirming(plan)


def _untrained(record: SweepRecord, chosen: Iterable[Configuration]) -> float:
    """Class-epochs of what a confirmation of these configurations does not have on record."""
    plan = record.plan
    missing = [
        set(plan.classes) - record.confirmation_values(configuration.number, seed).keys()
        for configuration in chosen
        for seed in plan.confirm_seeds
    ]
    return plan.base.epochs * sum(map(len, missing))


def _class_epochs_of_confirming(plan: Plan) -> float:
    """Of one configuration."""
    return plan.seeds * len(plan.classes) * plan.base.epochs
