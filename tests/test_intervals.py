"""95 % intervals: by hand, and how often they hold what they are for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from adcore.metrics import auroc_influence
from sweeps.engine.results.intervals import Interval, half_width, interval, pooled_variance, signed

Values = NDArray[np.float64]


def test_pooled_variance_by_hand() -> None:
    # squares around the means: (.5, .5) -> 0 + 2 * .1^2, (.7) -> 0, (.2, .5, .8) -> 2 * .3^2; over 1 + 0 + 2
    variance, freedom = pooled_variance([[0.4, 0.6], [0.7], [0.2, 0.5, 0.8]])
    assert freedom == 3
    assert variance == pytest.approx((0.02 + 0.18) / 3)


def test_a_shift_of_a_whole_group_does_not_change_the_variance_within() -> None:
    assert pooled_variance([[0.4, 0.6], [0.1, 0.2]]) == pytest.approx(pooled_variance([[0.5, 0.7], [0.1, 0.2]]))


@pytest.mark.parametrize("groups", [[], [[0.5]], [[0.5], [0.9]]])
def test_single_values_tell_no_variance(groups: list[list[float]]) -> None:
    variance, freedom = pooled_variance(groups)
    assert math.isnan(variance)
    assert freedom == 0


def test_half_width_by_hand() -> None:
    # of seeds alone: t at two degrees of freedom is 4.3027; of images alone: 1.95996; both in quadrature
    assert half_width(0.01**2, 2, 0) == pytest.approx(0.043027, abs=1e-6)
    assert half_width(0, 2, 0.01**2) == pytest.approx(0.0195996, abs=1e-7)
    assert half_width(0.01**2, 2, 0.01**2) == pytest.approx(math.hypot(0.043027, 0.0195996), abs=1e-6)


@pytest.mark.parametrize("seed_variance", [math.nan, 0.0, 5.0])
def test_without_degrees_of_freedom_the_interval_is_of_images_alone(seed_variance: float) -> None:
    assert half_width(seed_variance, 0, 0.01**2) == pytest.approx(0.0195996, abs=1e-7)


def test_half_widths_of_arrays_broadcast() -> None:
    found = half_width(np.array([[1e-4], [4e-4]]), np.array([1, 2, 3]), 1e-5)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(float(half_width(4e-4, 3, 1e-5)))


def test_an_interval_is_of_the_mean_of_its_values() -> None:
    found = interval([0.8, 0.9], 0.02, 3, 1e-4)
    assert found.value == pytest.approx(0.85)
    assert found.half == pytest.approx(float(half_width(0.01, 3, 1e-4)))
    assert (found.low, found.high) == (found.value - found.half, found.value + found.half)


@pytest.mark.parametrize(("value", "half", "excludes"), [(0.2, 0.1, True), (-0.2, 0.1, True), (0.1, 0.2, False)])
def test_zero_is_excluded_where_it_lies_outside(value: float, half: float, excludes: bool) -> None:
    assert Interval(value, half).excludes_zero == excludes
    assert not Interval(value, math.nan).excludes_zero, "what nothing tells is no finding"


def test_a_difference_that_four_decimals_do_not_show_has_no_sign() -> None:
    assert [signed(value) for value in (0.00123, -0.1, 0.0, -4e-5, 4e-5)] == ["+0.0012", "-0.1000", *["0.0000"] * 3]


#: Standard deviations of one seed and of the images.
RATIOS = [(1, 0), (1, 0.3), (1, 1), (0.5, 1), (0.2, 1), (0.05, 1)]
REPLICATES = 20_000


def _errors(seeds: int, seed_sd: float, image_sd: float) -> tuple[Values, Values, Values]:
    """Errors of two configurations' single seeds, [replicates, seeds] each, and the seeds' pooled variance.

    The two share half of the images' variance: they are judged on the same ones.
    """
    random = np.random.default_rng(0)
    shared, *own = random.normal(0, image_sd / math.sqrt(2), (3, REPLICATES, 1))
    first, second = (random.normal(0, seed_sd, (REPLICATES, seeds)) + shared + each for each in own)
    squares = sum(((each - each.mean(1, keepdims=True)) ** 2).sum(1) for each in (first, second))
    return first, second, squares / (2 * seeds - 2)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("seed_sd", "image_sd"), RATIOS)
def test_intervals_hold_the_truth_at_least_as_often_as_they_say(seeds: int, seed_sd: float, image_sd: float) -> None:
    first, _, variance = _errors(seeds, seed_sd, image_sd)
    held = np.abs(first.mean(1)) <= half_width(variance / seeds, 2 * seeds - 2, image_sd**2)
    assert 0.94 <= held.mean() <= (0.99 if seeds < 5 else 0.98)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("seed_sd", "image_sd"), RATIOS)
def test_intervals_of_a_difference_hold_it_as_often(seeds: int, seed_sd: float, image_sd: float) -> None:
    first, second, variance = _errors(seeds, seed_sd, image_sd)
    half = half_width(2 * variance / seeds, 2 * seeds - 2, image_sd**2)  # half of the images' variance cancels, twice
    held = np.abs((first - second).mean(1)) <= half
    assert 0.94 <= held.mean() <= (0.99 if seeds < 5 else 0.98)


def test_the_arrays_and_the_single_interval_are_one() -> None:
    first, second, variance = _errors(3, 1, 1)
    for one, two, pooled in list(zip(first, second, variance, strict=True))[:20]:
        assert pooled_variance([list(one), list(two)]) == pytest.approx((pooled, 4))
        assert interval(list(one), pooled, 4, 1).half == pytest.approx(float(half_width(pooled / 3, 4, 1)))


# Scores, as a detector would give them: an image of class c scores a normal deviate, higher where c is anomalous.

CLASSES, PER_CLASS, SEEDS = 4, 40, 2


def _aurocs(scores: Values, labels: NDArray[np.int64]) -> Values:
    """Mean over the classes of AUROC, by rank sums: scores [models, classes, images]."""
    ranks = scores.argsort(-1).argsort(-1) + 1
    found = []
    for normal in range(CLASSES):
        anomalous = labels != normal
        count = anomalous.sum()
        above = ranks[:, normal, anomalous].sum(-1) - count * (count + 1) / 2
        found.append(above / count / (~anomalous).sum())
    return np.mean(found, 0)


def _influence(scores: Values, labels: NDArray[np.int64]) -> Values:
    """Each image's influence on a model's mean AUROC: scores [classes, images]."""
    each = [auroc_influence(torch.from_numpy(scores[i]), torch.from_numpy(labels != i)) for i in range(CLASSES)]
    return np.mean(each, 0)


def _judged(random: np.random.Generator, separations: Sequence[float]) -> tuple[list[Interval], Interval]:
    """The intervals of configurations with these separations, and of the first's difference to the second."""
    labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    odd = random.normal(size=(CLASSES, len(labels)))  # what every model finds odd in an image
    anomalous = labels != np.arange(CLASSES)[:, None]
    values, influences = [], []
    for separation in separations:
        of_seed = separation + random.normal(0, SEED_SD, (SEEDS, CLASSES, 1))
        noise = 0.6 * random.normal(size=(SEEDS, CLASSES, len(labels)))
        scores = 0.8 * odd + noise + of_seed * anomalous
        values.append(_aurocs(scores, labels).tolist())
        influences.append(np.mean([_influence(each, labels) for each in scores], 0))
    variance, freedom = pooled_variance(values)
    single = [
        interval(own, variance, freedom, float(each @ each)) for own, each in zip(values, influences, strict=True)
    ]
    between = influences[0] - influences[1]
    differences = [one - other for one, other in zip(*values, strict=True)]
    return single, interval(differences, 2 * variance, freedom, float(between @ between))


SEED_SD = 0.3
REAL_REPLICATES = 1000


@pytest.fixture(scope="module")
def judged() -> list[tuple[list[Interval], Interval]]:
    random = np.random.default_rng(1)
    return [_judged(random, (1.2, 1.0)) for _ in range(REAL_REPLICATES)]


def _truth(separation: float) -> float:
    """E over seeds of P(anomaly above normal): the difference of two scores has variance 2, a seed adds its own."""
    return float(stats.norm.cdf(separation / math.sqrt(2 + SEED_SD**2)))


def test_intervals_from_real_scores_hold_the_mean_auroc_over_seeds_and_images(
    judged: list[tuple[list[Interval], Interval]],
) -> None:
    for place, separation in enumerate((1.2, 1.0)):
        found = [single[place] for single, _ in judged]
        assert np.mean([each.value for each in found]) == pytest.approx(_truth(separation), abs=0.004)
        held = [each.low <= _truth(separation) <= each.high for each in found]
        assert 0.93 <= np.mean(held) <= 0.995


def test_intervals_of_a_difference_from_real_scores_hold_it(judged: list[tuple[list[Interval], Interval]]) -> None:
    truth = _truth(1.2) - _truth(1.0)
    assert 0.93 <= np.mean([each.low <= truth <= each.high for _, each in judged]) <= 0.995
    # the same images, so that it is narrower than that of two samples would be
    alone = [math.hypot(single[0].half, single[1].half) for single, _ in judged]
    assert np.mean([each.half for _, each in judged]) < 0.97 * np.mean(alone)
