"""The test part: opened once per sweep, for the models that the confirmation trained."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.metrics import auroc_influence
from sweeps.engine.machine.resources import THIS_PROCESS, Resources
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.extend import earlier_test, openings_before_extension
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.results.model_scores import Training, Trainings, difference_of, drop_scores, scored_trainings
from sweeps.engine.results.resampling import resampled
from sweeps.engine.results.test_result import OWN_BEST, TestResult, own_of

if TYPE_CHECKING:
    from adcore.evaluation.test_scores import TestScores

__all__ = ["opened_again", "opened_before", "score_models"]

#: No class has its own best configuration.
NONE: Mapping[int, int] = MappingProxyType({})
#: By class, the training that a model's network comes from: its configuration, and the classes trained together.
Networks = dict[int, tuple[int, tuple[int, ...]]]


def opened_before(record: SweepRecord, confirmed: Sequence[Confirmation], own: Mapping[int, int] = NONE) -> str:
    """Why scoring these would open the test part a second time, or an empty string."""
    stored = record.read("test")
    if stored is None:
        return ""
    if _is_of(stored, record, confirmed, own):
        return ""
    return (
        f"{_opening(record, stored, -1)}, which are not those confirmed now; --resume with --open-test-again opens it "
        "again, and records that"
    )


def opened_again(record: SweepRecord, confirmed: Sequence[Confirmation], own: Mapping[int, int] = NONE) -> str:
    """That scoring these opens the test part again because the sweep was extended, or an empty string."""
    stored = earlier_test(record)
    if record.read("test") is not None or stored is None or _is_of(stored, record, confirmed, own):
        return ""
    last = _opening(record, stored, openings_before_extension(record) - 1)
    return f"{last}; it is opened again for those confirmed now, which is on record"


def _is_of(
    stored: Mapping[str, Any], record: SweepRecord, confirmed: Sequence[Confirmation], own: Mapping[int, int]
) -> bool:
    """Whether recorded results are those of these configurations' models."""
    models = {tuple(model) for model in stored["models"]}
    return models == set(_models(record, confirmed, own)) and own_of(stored) == own


def _known_before(
    record: SweepRecord, confirmed: Sequence[Confirmation], own: Mapping[int, int]
) -> dict[str, Any] | None:
    """The results from before an extension, if they are those of the same models."""
    stored = earlier_test(record)
    return stored if stored and _is_of(stored, record, confirmed, own) else None


def _opening(record: SweepRecord, stored: Mapping[str, Any], place: int) -> str:
    models = {tuple(model) for model in stored["models"]}
    opened = {number for number, _ in models if number != OWN_BEST} | set(own_of(stored).values())
    numbers = ", ".join(map(str, sorted(opened)))
    return f"the test part was opened {record.read('test_openings')[place]} for the configurations {numbers}"


def score_models(
    record: SweepRecord,
    confirmed: Sequence[Confirmation],
    home: SweepHome,
    open_test: Callable[[], ImageDataset],
    *,
    own: Mapping[int, int] = NONE,
    again: bool = False,
    resources: Resources = THIS_PROCESS,
    on_progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> TestResult:
    """Score the models of every confirmed configuration, or take their scores from the record.

    open_test opens the test part: here and nowhere else. The time of each opening is on record; one that ended without
    results is continued after the models that it has scored. own: each class's best configuration; they are scored
    together as OWN_BEST. again: open it again, whatever was scored before. resources: where models are scored.
    on_progress: called with how many trainings' models are scored, and of how many.

    In an extended sweep it is opened again unless the models are those scored before.
    """
    stored = record.read("test")
    if not again and (known := stored or _known_before(record, confirmed, own)):
        if stored is None:
            record.write("test", known)
        return TestResult.from_record(known)
    models = _models(record, confirmed, own)
    remedy = "--resume trains this model again" if stored is None else "start a new sweep"
    trainings = _trainings(record, confirmed, models)
    metric = record.plan.metric
    _require_models(trainings, home, remedy, metric)
    openings = record.read("test_openings") or []
    if len(openings) == openings_before_extension(record) or stored is not None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        record.write("test_openings", [*openings, now])
        drop_scores(home)
    scored: dict[Training, TestScores] = {}
    for training, scores in scored_trainings(trainings, home, open_test(), resources, metric):
        scored[training] = scores
        on_progress(len(scored), len(trainings))
    result = dataclasses.replace(_result(models, scored, metric), own=own)
    record.write("test", result.as_record())
    drop_scores(home)
    return result


def _models(
    record: SweepRecord, confirmed: Sequence[Confirmation], own: Mapping[int, int]
) -> dict[tuple[int, int], Networks]:
    """The networks of every model to score, and of OWN_BEST with each seed if there is one."""
    found: dict[tuple[int, int], Networks] = {}
    for each in confirmed:
        number = each.number
        classes = tuple(sorted(record.plan.classes))
        trained = dict.fromkeys(classes, (number, classes))
        found |= {(number, seed): trained for seed in each.by_seed}
    together = {index: (number, (index,)) for index, number in own.items()}
    for seed in confirmed[0].by_seed if own else ():
        common = found[confirmed[0].number, seed]
        found[OWN_BEST, seed] = {i: common[i] if own[i] == common[i][0] else together[i] for i in own}
    return found


def _trainings(
    record: SweepRecord, confirmed: Sequence[Confirmation], models: Mapping[tuple[int, int], Networks]
) -> Trainings:
    """The trainings that the models' networks come from."""
    values = {(each.number, seed): found for each in confirmed for seed, found in each.by_seed.items()}
    found: Trainings = {}
    for (_, seed), networks in models.items():
        for number, classes in networks.values():
            known = values.get((number, seed)) or record.of_class(classes[0]).complete_confirmation(number, seed) or {}
            found[number, classes, seed] = [known.get(index, math.nan) for index in classes]
    return found


def _require_models(trainings: Trainings, home: SweepHome, remedy: str, metric: str) -> None:
    """Raises UserError if one is not the model that was confirmed: the test part is not opened for others."""
    for training, values in trainings.items():
        if reason := difference_of(home, training, values, metric):
            raise UserError(f"{reason}; the test part stays closed; {remedy}")


def _result(
    models: Mapping[tuple[int, int], Networks], scored: Mapping[Training, TestScores], metric: str
) -> TestResult:
    """Figures and covariance of the models, from the scores of the trainings that their networks come from."""
    by_training = {training: scores.measured() for training, scores in scored.items()}
    measured: dict[tuple[int, int], dict[int, dict[str, float]]] = {}
    variance: dict[tuple[int, int], dict[int, float]] = {}
    influences: dict[str, list[NDArray[np.float64]]] = {}
    images = 0
    for (number, seed), networks in models.items():
        own: dict[str, NDArray[np.float64]] = {}
        measured[number, seed], variance[number, seed] = {}, {}
        for index in sorted(networks):
            training = (*networks[index], seed)
            scores = scored[training]
            measured[number, seed][index] = by_training[training][index]
            images = len(scores.labels)
            found = _influence(scores, index) if metric == "auroc" else resampled(scores, index, metric)
            variance[number, seed][index] = float(found[""] @ found[""]) * images / (images - 1)
            for name, influence in found.items():
                own[name] = own.get(name, 0) + influence / len(networks)
        for name, influence in own.items():
            influences.setdefault(name, []).append(influence)
    # n / (n - 1): the mean of the influences was estimated from the same images; next to nothing for resamples
    covariance = {name: np.stack(rows) @ np.stack(rows).T * images / (images - 1) for name, rows in influences.items()}
    return TestResult(measured, covariance, images, class_variance=variance, metric=metric)


def _influence(scored: TestScores, normal: int) -> dict[str, NDArray[np.float64]]:
    """Each image's influence on the AUROC of experiment `normal`, by comparison: [images]."""
    member, found = scored.config.classes.index(normal), {}
    for name, anomalous in scored.anomalous(normal).items():
        shown = anomalous | scored.normal(normal)
        found[name] = np.zeros(len(scored.labels))
        found[name][shown.numpy()] = auroc_influence(scored.scores[shown, member], anomalous[shown])
    return found
