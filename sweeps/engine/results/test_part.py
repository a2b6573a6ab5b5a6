"""The test part: opened once per sweep, for the models that the confirmation trained."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from sweeps.engine.machine.resources import THIS_PROCESS, Resources
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.extend import earlier_test
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import EXTENSIONS, now_as_text, openings_before_extension
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.image_variance import Networks, result_of
from sweeps.engine.results.model_scores import Training, Trainings, difference_of, drop_scores, scored_trainings
from sweeps.engine.results.test_result import OWN_BEST, TestResult, stored_own_best

if TYPE_CHECKING:
    from adcore.evaluation.test_scores import TestScores

__all__ = ["reopening_line", "score_models", "why_open_already"]

#: No class has its own best configuration.
NO_OWN_BEST: Mapping[int, int] = MappingProxyType({})


def why_open_already(
    record: SweepRecord, confirmed: Sequence[Confirmation], own_best: Mapping[int, int] = NO_OWN_BEST
) -> str:
    """Why scoring these would open the test part a second time, or an empty string."""
    stored = record.read("test")
    if stored is None:
        return ""
    if _is_result_of(stored, record, confirmed, own_best):
        return ""
    return (
        f"{_opening_in_words(record, stored, -1)}, which are not those confirmed now; --resume with --open-test-again "
        "opens it again, and records that"
    )


def reopening_line(
    record: SweepRecord, confirmed: Sequence[Confirmation], own_best: Mapping[int, int] = NO_OWN_BEST
) -> str:
    """That scoring these opens the test part again because the sweep was extended, or an empty string."""
    stored = earlier_test(record)
    if record.read("test") is not None or stored is None or _is_result_of(stored, record, confirmed, own_best):
        return ""
    last = _opening_in_words(record, stored, openings_before_extension(record.read(EXTENSIONS)) - 1)
    return f"{last}; it is opened again for those confirmed now, which is on record"


def _is_result_of(
    stored: Mapping[str, Any], record: SweepRecord, confirmed: Sequence[Confirmation], own_best: Mapping[int, int]
) -> bool:
    """Whether recorded results are those of these configurations' models."""
    models = {tuple(model) for model in stored["models"]}
    return models == set(_models(record, confirmed, own_best)) and stored_own_best(stored) == own_best


def _earlier_result(
    record: SweepRecord, confirmed: Sequence[Confirmation], own_best: Mapping[int, int]
) -> dict[str, Any] | None:
    """The results from before an extension, if they are those of the same models."""
    stored = earlier_test(record)
    return stored if stored and _is_result_of(stored, record, confirmed, own_best) else None


def _opening_in_words(record: SweepRecord, stored: Mapping[str, Any], place: int) -> str:
    models = {tuple(model) for model in stored["models"]}
    numbers_opened = {number for number, _ in models if number != OWN_BEST} | set(stored_own_best(stored).values())
    numbers = ", ".join(map(str, sorted(numbers_opened)))
    return f"the test part was opened {record.read('test_openings')[place]} for the configurations {numbers}"


def score_models(
    record: SweepRecord,
    confirmed: Sequence[Confirmation],
    home: SweepHome,
    open_test: Callable[[], ImageDataset],
    *,
    own_best: Mapping[int, int] = NO_OWN_BEST,
    open_again: bool = False,
    resources: Resources = THIS_PROCESS,
    on_progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> TestResult:
    """Score the models of every confirmed configuration, or take their scores from the record.

    open_test opens the test part: here and nowhere else. The time of each opening is on record; one that ended without
    results is continued after the models that it has scored. own_best: each class's own best configuration; they
    are scored together as OWN_BEST. open_again: whatever was scored before. resources: where models are scored.
    on_progress: called with how many trainings' models are scored, and of how many.

    In an extended sweep it is opened again unless the models are those scored before.
    """
    stored = record.read("test")
    if not open_again and (known_result := stored or _earlier_result(record, confirmed, own_best)):
        if stored is None:
            record.write("test", known_result)
        return TestResult.from_record(known_result)
    models = _models(record, confirmed, own_best)
    remedy = "--resume trains this model again" if stored is None else "start a new sweep"
    trainings = _trainings(record, confirmed, models)
    metric = record.plan.metric
    _require_models(trainings, home, remedy, metric)
    openings = record.read("test_openings") or []
    if len(openings) == openings_before_extension(record.read(EXTENSIONS)) or stored is not None:
        record.write("test_openings", [*openings, now_as_text()])
        drop_scores(home)
    scored: dict[Training, TestScores] = {}
    for training, scores in scored_trainings(trainings, home, open_test(), resources, metric):
        scored[training] = scores
        on_progress(len(scored), len(trainings))
    result = dataclasses.replace(result_of(models, scored, metric), own_best=own_best)
    record.write("test", result.as_record())
    drop_scores(home)
    return result


def _models(
    record: SweepRecord, confirmed: Sequence[Confirmation], own_best: Mapping[int, int]
) -> dict[tuple[int, int], Networks]:
    """The networks of every model to score, and of OWN_BEST with each seed if there is one."""
    networks: dict[tuple[int, int], Networks] = {}
    for confirmation in confirmed:
        number = confirmation.number
        classes = tuple(sorted(record.plan.classes))
        trained = dict.fromkeys(classes, (number, classes))
        networks |= {(number, seed): trained for seed in confirmation.by_seed}
    own_networks = {index: (number, (index,)) for index, number in own_best.items()}
    for seed in confirmed[0].by_seed if own_best else ():
        common = networks[confirmed[0].number, seed]
        networks[OWN_BEST, seed] = {i: common[i] if own_best[i] == common[i][0] else own_networks[i] for i in own_best}
    return networks


def _trainings(
    record: SweepRecord, confirmed: Sequence[Confirmation], models: Mapping[tuple[int, int], Networks]
) -> Trainings:
    """The trainings that the models' networks come from."""
    values = {(each.number, seed): by_class for each in confirmed for seed, by_class in each.by_seed.items()}
    expected: Trainings = {}
    for (_, seed), networks in models.items():
        for number, classes in networks.values():
            by_class = (
                values.get((number, seed)) or record.of_class(classes[0]).complete_confirmation(number, seed) or {}
            )
            expected[number, classes, seed] = [by_class.get(index, math.nan) for index in classes]
    return expected


def _require_models(trainings: Trainings, home: SweepHome, remedy: str, metric: str) -> None:
    """Raises UserError if one is not the model that was confirmed: the test part is not opened for others."""
    for training, values in trainings.items():
        if reason := difference_of(home, training, values, metric):
            raise UserError(f"{reason}; the test part stays closed; {remedy}")
