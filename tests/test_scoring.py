"""Figures from their definitions: pairs, thresholds, and DeLong's variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adcore.metrics import METRICS, auroc_influence, measure

LABELS = torch.tensor([0, 0, 1, 2])
#: Scores with ties, and which are anomalies; _two_kinds adds two of each kind.
CASES = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=80)


def auroc(scores: torch.Tensor) -> float:
    return measure(scores, LABELS != 0)["auroc"]


def of(normal: list[float], anomalous: list[float]) -> dict[str, float]:
    """The figures of normal and anomalous scores."""
    truth = [False] * len(normal) + [True] * len(anomalous)
    return measure(torch.tensor([*normal, *anomalous]), torch.tensor(truth))


def _two_kinds(cases: list[tuple[int, bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    cases = [*cases, (2, False), (3, True), (4, False), (6, True)]
    return torch.tensor([float(score) for score, _ in cases]), torch.tensor([anomalous for _, anomalous in cases])


def _pairs(scores: torch.Tensor, anomalous: torch.Tensor) -> NDArray[np.float64]:
    """1 where an anomaly scores above a normal image, .5 where they tie: [anomalies, normal images]."""
    above, below = scores[anomalous].numpy()[:, None], scores[~anomalous].numpy()[None]
    return (above > below) + 0.5 * (above == below)


def test_anomalies_that_score_higher_give_1_and_lower_give_0() -> None:
    assert auroc(torch.tensor([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert auroc(torch.tensor([0.4, 0.3, 0.2, 0.1])) == 0.0


def test_auroc_by_hand() -> None:
    # pairs (normal, anomalous): .1 < .35, .1 < .8, .4 > .35, .4 < .8: three of four are ranked right
    assert auroc(torch.tensor([0.1, 0.4, 0.35, 0.8])) == 0.75


def test_scores_are_ranked_not_thresholded() -> None:
    scores = torch.tensor([0.1, 0.4, 0.45, 0.8])
    assert auroc(scores) == 1.0
    # cut at .5 first, .45 would tie with both normal images: (0.5 + 0.5 + 1 + 1) / 4
    assert auroc((scores > 0.5).float()) == 0.75
    # and the ranking does not depend on where the scores lie, nor on float32 steps being far apart
    assert auroc(scores * 1e-6 + 1e-7) == 1.0


@settings(deadline=None)
@given(CASES)
def test_auroc_is_the_share_of_pairs_ranked_right_with_ties_counting_half(cases: list[tuple[int, bool]]) -> None:
    scores, anomalous = _two_kinds(cases)
    assert measure(scores, anomalous)["auroc"] == pytest.approx(_pairs(scores, anomalous).mean(), abs=1e-12)


def test_every_metric_by_hand() -> None:
    # from the top: .9 anomalous, .6 normal, .5 anomalous, .2 normal, .1 normal
    found = of([0.1, 0.2, 0.6], [0.5, 0.9])
    assert tuple(found) == METRICS
    assert found == pytest.approx({
        "auroc": 5 / 6,  # of six pairs (.6, .5) is ranked wrong
        "ap": 1 / 2 * 1 + 1 / 2 * 2 / 3,  # the first anomaly at precision 1, the second at 2 of 3
        "ap_normal": 2 / 3 * 1 + 1 / 3 * 3 / 4,  # from below: two at precision 1, the third at 3 of 4
        "fpr95": 1 / 3,  # both anomalies lie above .5, and so does one of three normal images
        "tpr5": 1 / 2,  # no normal image may pass: above .6 there is one of two anomalies
    })  # fmt: skip


def test_every_metric_by_hand_with_a_tie() -> None:
    # the tied pair passes a threshold together: precision 2 of 3 on either side
    assert of([0.1, 0.5], [0.5, 0.9]) == pytest.approx(
        {"auroc": 3.5 / 4, "ap": 5 / 6, "ap_normal": 5 / 6, "fpr95": 1 / 2, "tpr5": 1 / 2}
    )


def test_19_of_20_are_95_percent_and_1_of_20_are_5_percent() -> None:
    twenty = [float(score) for score in range(1, 21)]
    assert of([1.5, 0.5], twenty)["fpr95"] == 0, "the lowest anomaly need not be found"
    assert of([2.5, 0.5], twenty)["fpr95"] == 0.5
    assert of(twenty, [19.5, 20.5])["tpr5"] == 1, "the highest normal image may pass"
    assert of(twenty, [18.5, 20.5])["tpr5"] == 0.5


@settings(deadline=None)
@given(CASES)
def test_thresholded_metrics_are_those_of_their_definitions(cases: list[tuple[int, bool]]) -> None:
    scores, anomalous = _two_kinds(cases)
    found = measure(scores, anomalous)
    assert found["ap"] == pytest.approx(_average_precision(scores, anomalous), abs=1e-12)
    assert found["ap_normal"] == pytest.approx(_average_precision(-scores, ~anomalous), abs=1e-12)
    positives, negatives = scores[anomalous], scores[~anomalous]
    passing = [
        (int((positives >= threshold).sum()), int((negatives >= threshold).sum()))
        for threshold in scores.unique().flip(0)
    ]
    finding = [wrong for right, wrong in passing if 100 * right >= 95 * len(positives)]
    sparing = [right for right, wrong in passing if 100 * wrong <= 5 * len(negatives)]
    assert found["fpr95"] == pytest.approx(min(finding) / len(negatives), abs=1e-12)
    assert found["tpr5"] == pytest.approx(max(sparing, default=0) / len(positives), abs=1e-12)


def _average_precision(scores: torch.Tensor, positive: torch.Tensor) -> float:
    """Precision at each threshold from the top, weighted with the recall that it adds."""
    total, before = 0.0, 0
    for threshold in scores.unique().flip(0):
        right = int((scores[positive] >= threshold).sum())
        total += (right - before) / int(positive.sum()) * right / int((scores >= threshold).sum())
        before = right
    return total


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_makes_nan_of_every_figure(bad: float) -> None:
    found = of([0.1, 0.2], [0.3, bad])
    assert tuple(found) == METRICS
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("anomalous", [[True] * 4, [False] * 4])
def test_images_of_one_kind_alone_are_refused(anomalous: list[bool]) -> None:
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4])
    for figure in (measure, auroc_influence):
        with pytest.raises(ValueError, match="expected normal and anomalous images"):
            figure(scores, torch.tensor(anomalous))


@settings(deadline=None)
@given(CASES)
def test_influence_is_centred_in_each_kind_and_its_squares_are_delongs_variance(cases: list[tuple[int, bool]]) -> None:
    scores, anomalous = _two_kinds(cases)
    influence, pairs = auroc_influence(scores, anomalous), _pairs(scores, anomalous)
    # DeLong et al. 1988: the sample variance of each image's share of pairs ranked right, over the number of its kind
    for kind, shares in ((anomalous, pairs.mean(1)), (~anomalous, pairs.mean(0))):
        own, count = influence[kind.numpy()], len(shares)
        assert own.sum() == pytest.approx(0, abs=1e-12)
        assert (own**2).sum() == pytest.approx(shares.var(ddof=1) / count, abs=1e-12)


def test_an_image_that_ranks_better_than_the_others_of_its_kind_raises_auroc() -> None:
    influence = auroc_influence(torch.tensor([0.1, 0.6, 0.5, 0.9]), torch.tensor([False, False, True, True]))
    # normal .1 lies below both anomalies, .6 below one; anomalous .5 above one normal image, .9 above both; AUROC 3/4
    assert influence.tolist() == pytest.approx([2**-0.5 / 4 * sign for sign in (1, -1, -1, 1)])


def test_a_single_anomaly_makes_the_error_as_large_as_it_can_be() -> None:
    scores, anomalous = torch.tensor([*(place / 100 for place in range(100)), 0.905]), torch.arange(101) == 100
    influence = auroc_influence(scores, anomalous)
    assert influence[-1] == pytest.approx((0.91 * 0.09) ** 0.5)
    assert (influence[:-1] ** 2).sum() == pytest.approx(0.91 * 0.09 / 99)


def test_joint_influence_is_the_covariance_of_experiments_on_the_same_images() -> None:
    random = np.random.default_rng(0)
    images, separations = 300, {(0, "one model"): 0.5, (0, "another"): 1.0, (1, "one model"): 2.0}
    labels = np.arange(images) % 3
    common = random.normal(size=images)  # an image that looks odd to one experiment looks odd to all
    drawn = random.multinomial(images, np.full(images, 1 / images), size=2000)  # how often each image is in a resample
    influences, resampled = [], []
    for (normal, _), separation in separations.items():
        anomalous = labels != normal
        scores = torch.from_numpy(common + 0.5 * random.normal(size=images) + separation * anomalous)
        influences.append(auroc_influence(scores, torch.from_numpy(anomalous)))
        above, below = drawn[:, anomalous], drawn[:, ~anomalous]
        right = ((above @ _pairs(scores, torch.from_numpy(anomalous))) * below).sum(1)
        resampled.append(right / (above.sum(1) * below.sum(1)))
    joint = np.stack(influences)
    expected, found = np.cov(resampled), joint @ joint.T
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert expected[0, 1] > 0.5 * scale[0, 1], "of experiments that hardly depend on each other little is proved"
    assert (np.abs(found - expected) < 0.12 * scale).all(), found / expected
    assert joint.mean(0) @ joint.mean(0) == pytest.approx(np.var(np.mean(resampled, 0), ddof=1), rel=0.12)
