"""AUROC from its definition: the share of (normal, anomalous) pairs that are ranked right."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adcore.scoring import auroc

LABELS = torch.tensor([0, 0, 1, 2])


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_anomalies_that_score_higher_give_1_and_lower_give_0() -> None:
    assert auroc(column(0.1, 0.2, 0.3, 0.4), LABELS, [0]) == [1.0]
    assert auroc(column(0.4, 0.3, 0.2, 0.1), LABELS, [0]) == [0.0]


def test_auroc_by_hand() -> None:
    # pairs (normal, anomalous): .1 < .35, .1 < .8, .4 > .35, .4 < .8: three of four are ranked right
    assert auroc(column(0.1, 0.4, 0.35, 0.8), LABELS, [0]) == [0.75]


def test_scores_are_ranked_not_thresholded() -> None:
    scores = column(0.1, 0.4, 0.45, 0.8)
    assert auroc(scores, LABELS, [0]) == [1.0]
    # cut at .5 first, .45 would tie with both normal images: (0.5 + 0.5 + 1 + 1) / 4
    assert auroc((scores > 0.5).float(), LABELS, [0]) == [0.75]
    # and the ranking does not depend on where the scores lie, nor on float32 steps being far apart
    assert auroc(scores * 1e-6 + 1e-7, LABELS, [0]) == [1.0]


def test_each_member_has_its_own_normal_class() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.8, 0.2]])
    # member 0: class 0 normal, both anomalies above: 1; member 1: class 1 normal at .1, all else above: 1
    assert auroc(scores, LABELS, [0, 1]) == [1.0, 1.0]
    # the other way round each is anomalous to the other; member 0 as class 1: .9 above .1, .2, .8: 0
    # member 1 as class 0: .9, .8 above .1, .2: 0
    assert auroc(scores, LABELS, [1, 0]) == [0.0, 0.0]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_auroc_is_the_share_of_pairs_ranked_right_with_ties_counting_half(cases: list[tuple[int, bool]]) -> None:
    cases = [*cases, (2, False), (3, True)]  # one of each kind at least
    scores = column(*[float(score) for score, _ in cases])
    labels = torch.tensor([4 if anomalous else 3 for _, anomalous in cases])
    pairs = [(n, a) for n, is_a in cases if not is_a for a, also in cases if also]
    expected = sum(1.0 if a > n else 0.5 if a == n else 0.0 for n, a in pairs) / len(pairs)
    assert auroc(scores, labels, [3])[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_makes_nan_of_its_own_member_alone(bad: float) -> None:
    scores = column(0.1, 0.2, 0.3, 0.4).repeat(1, 3)
    scores[2, 1] = bad
    values = auroc(scores, LABELS, [0, 0, 0])
    assert [values[0], values[2]] == [1.0, 1.0]
    assert math.isnan(values[1])


@pytest.mark.parametrize("labels", [[3, 3, 3, 3], [0, 1, 2, 4]])
def test_images_of_one_kind_alone_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="class 3: expected normal and anomalous images"):
        auroc(column(0.1, 0.2, 0.3, 0.4), torch.tensor(labels), [3])
