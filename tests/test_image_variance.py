"""How much a figure varies with the images, on a validation part with another mix of kinds than the test part."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from adcore.config import TrainConfig
from adcore.evaluation.test_scores import TestScores as Scores
from adcore.metrics import auroc_influence, measure_one
from sweeps.engine.results.image_variance import result_of, validation_weights
from sweeps.engine.results.resampling import resampled_deviations
from sweeps.engine.results.test_result import TestResult as Result

#: Images of each class in the test part and in the validation part. In one experiment: class 0 is normal.
HELD_OUT = (50, 20), (833, 20)
#: Of three experiments: the validation part is capped, so that its classes have equal shares.
CAPPED = (300, 60, 30), (20, 20, 20)


def config(classes: Sequence[int], **fields: Any) -> TrainConfig:
    return TrainConfig(dataset="digits", classes=tuple(classes), **fields)


def labels_of(counts: Sequence[int]) -> torch.Tensor:
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def drawn(counts: Sequence[int], classes: Sequence[int], draw: np.random.Generator, models: int = 1) -> list[Scores]:
    """Fresh images and the scores that models give them: all find the same images odd, and anomalies odder.

    Anomalies vary more than normal images, so that the kinds count differently.
    """
    labels = labels_of(counts)
    anomalous = torch.stack([labels != index for index in classes], 1).numpy()
    odd = draw.normal(size=(len(labels), 1))
    noise = draw.normal(size=(models, len(labels), len(classes)))
    scores = torch.from_numpy((0.8 * odd + 0.6 * noise) * (1 + anomalous) + 1.5 * anomalous)
    return [Scores(config(classes), each, labels) for each in scores]


def auroc(scores: Scores) -> float:
    """The mean over the experiments."""
    return float(
        np.mean(
            [
                measure_one("auroc", (scores.labels != index).numpy(), scores.scores[:, place].numpy())
                for place, index in enumerate(scores.config.classes)
            ]
        )
    )


def result_from(scores: Sequence[Scores], metric: str = "auroc") -> Result:
    """The result of configuration 0 with these seeds' scores."""
    classes = scores[0].config.classes
    models = {(0, seed): dict.fromkeys(classes, (0, classes)) for seed in range(len(scores))}
    return result_of(models, {(0, classes, seed): each for seed, each in enumerate(scores)}, metric)


def expected(result: Result, counts: Sequence[int], classes: Sequence[int], **changes: Any) -> float:
    """The variance on a validation part with so many images of each class."""
    labels = labels_of(counts)
    return result.validation_variance(0, len(labels), validation_weights(config(classes), labels), **changes)


@pytest.mark.parametrize(("classes", "counts"), [((0,), HELD_OUT), ((0, 1, 2), CAPPED)])
def test_the_variance_on_validation_images_is_what_fresh_ones_have(
    classes: Sequence[int], counts: tuple[Sequence[int], Sequence[int]]
) -> None:
    draw, (in_test, in_validation) = np.random.default_rng(0), counts
    actual = np.var([auroc(drawn(in_validation, classes, draw)[0]) for _ in range(1500)], ddof=1)
    results = [result_from(drawn(in_test, classes, draw)) for _ in range(200)]
    assert np.mean([expected(each, in_validation, classes) for each in results]) == pytest.approx(actual, rel=0.15)


def test_in_one_experiment_each_kind_is_scaled_by_its_own_number_by_hand() -> None:
    in_test, in_validation = HELD_OUT
    [scores] = drawn(in_test, [0], np.random.default_rng(1))
    influence = auroc_influence(scores.scores[:, 0], scores.labels != 0)
    normal, anomalous = influence[:50], influence[50:]
    by_hand = normal @ normal * 50 / 833 + anomalous @ anomalous * 20 / 20
    result = result_from([scores])
    assert expected(result, in_validation, [0]) == pytest.approx(by_hand, rel=1e-9)
    assert by_hand > 5 * result.image_variance("", 0) * 70 / 853, "all images alike would give a fifth of it"


@pytest.mark.parametrize("metric", ["auroc", "ap", "fpr95"])
@pytest.mark.parametrize("classes", [(0,), (0, 1, 2)])
@pytest.mark.parametrize("of_one", [False, True])
def test_with_the_mix_of_the_test_part_only_the_number_of_images_counts(
    metric: str, classes: Sequence[int], *, of_one: bool
) -> None:
    result = result_from(drawn((60, 40, 80), classes, np.random.default_rng(2), models=2), metric)
    whole = result.image_variance_of_one("", 0) if of_one else result.image_variance("", 0)
    assert expected(result, (15, 10, 20), classes, of_one=of_one) == pytest.approx(whole * 4, rel=1e-9)


def test_anomalies_that_training_has_not_seen_do_not_count_where_validation_has_none() -> None:
    labels, own = labels_of([40] * 10), config([0], protocol="seen-unseen", known_classes=1)
    values = torch.from_numpy(np.random.default_rng(3).normal(size=(400, 1))) + (labels != 0)[:, None]
    result = result_from([Scores(own, values, labels)])
    weights = validation_weights(own, labels_of([20] * 10))
    variance = result.validation_variance(0, 200, weights)
    assert variance == pytest.approx(2 * result.image_variance("seen", 0), rel=1e-9)


def _drawn_from(kind: Callable[[Scores], torch.Tensor], scores: Scores) -> NDArray[np.float64]:
    return resampled_deviations(scores, 0, "auroc", redrawn=kind(scores))[""]


def test_resamples_of_one_kind_give_the_variance_of_its_placements() -> None:
    [scores] = drawn((150, 60), [0], np.random.default_rng(4))
    influence = auroc_influence(scores.scores[:, 0], scores.labels != 0)
    for part, kind in ((influence[:150], lambda own: own.labels == 0), (influence[150:], lambda own: own.labels != 0)):
        found = _drawn_from(kind, scores)
        assert found @ found == pytest.approx(part @ part, rel=0.4)


def test_for_another_metric_the_kinds_are_told_apart_in_a_single_experiment() -> None:
    draw, (in_test, in_validation) = np.random.default_rng(5), HELD_OUT
    [scores] = drawn(in_test, [0], draw)
    by_kind = [_of_kind(scores, normal=normal) for normal in (True, False)]
    share = by_kind[0] / sum(by_kind)
    result = result_from([scores], "ap")
    by_hand = result.image_variance("", 0) * (share * 50 / 833 + (1 - share))
    assert expected(result, in_validation, [0]) == pytest.approx(by_hand, rel=1e-9)
    several = result_from(drawn((60, 40, 80), (0, 1, 2), draw), "ap")
    assert several.kind_shares == {}, "that would take too long"


def _of_kind(scores: Scores, *, normal: bool) -> float:
    found = resampled_deviations(scores, 0, "ap", redrawn=(scores.labels == 0) == normal)[""]
    return float(found @ found)


def test_the_record_holds_the_kinds_and_one_of_a_version_without_them_is_read() -> None:
    result = result_from(drawn(HELD_OUT[0], [0], np.random.default_rng(6), models=2))
    stored = json.loads(json.dumps(result.as_record()))
    again = Result.from_record(stored)
    assert (again.kind_shares, again.kind_weights) == (result.kind_shares, result.kind_weights)
    older = Result.from_record({name: each for name, each in stored.items() if not name.startswith("kind_")})
    assert expected(older, (833, 20), [0]) == pytest.approx(result.image_variance("", 0) * 70 / 853)
    assert dataclasses.replace(result, kind_shares={}).validation_variance(0, 70, None) == pytest.approx(
        result.image_variance("", 0)
    )
