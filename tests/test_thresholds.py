"""Thresholds: numbers worked out by hand, and what every rule owes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from adcore.thresholds import (
    RULES,
    TwoScores,
    at_threshold,
    best_f1,
    confusion,
    decision_rule,
    difference_of_means,
    false_positive_budget,
    fixed,
    mean_of_means,
    most_correct,
)

# sorted: 1 n, 2 n, 3 a, 4 n, 5 a, 6 a
SCORES = torch.tensor([4.0, 1.0, 6.0, 3.0, 2.0, 5.0])
ANOMALOUS = torch.tensor([False, False, True, True, False, True])


def test_there_are_six_rules_and_each_gives_a_number() -> None:
    assert len(RULES) == 6
    assert all(type(rule(SCORES, ANOMALOUS)) is float for rule in RULES.values())


def test_the_rules_of_means() -> None:
    # normal: (4 + 1 + 2) / 3 = 7/3; anomalies: (6 + 3 + 5) / 3 = 14/3
    assert difference_of_means(SCORES, ANOMALOUS) == pytest.approx(7 / 3)
    assert difference_of_means(-SCORES, ANOMALOUS) == pytest.approx(7 / 3)
    assert mean_of_means(SCORES, ANOMALOUS) == pytest.approx(3.5)
    assert fixed(SCORES, ANOMALOUS) == 0.5


def test_most_correct_of_all_thresholds_the_highest() -> None:
    # at 5: 5 and 6 found, no false alarm, 5 of 6 correct; at 3: all found, one false alarm, 5 of 6 as well
    assert most_correct(SCORES, ANOMALOUS) == 5.0
    # a normal image above everything: flag nothing, 3 of 4 correct
    assert most_correct(torch.tensor([9.0, 1.0, 2.0, 3.0]), torch.tensor([False, True, False, False])) == math.inf


def test_best_f1_and_the_budget_of_false_positives() -> None:
    # F1 = 2 tp / (2 tp + fp + fn): at 3 6/7, at 5 4/5, at 4 4/6
    assert best_f1(SCORES, ANOMALOUS) == 2.5, "half-way to 2"
    assert false_positive_budget(SCORES, ANOMALOUS) == 5.0
    assert false_positive_budget(SCORES, ANOMALOUS, share=1 / 3) == 3.0
    assert false_positive_budget(-SCORES, ANOMALOUS) == math.inf


def test_where_the_kinds_are_far_apart_the_threshold_is_in_the_middle_and_never_below_a_normal_score() -> None:
    anomalous = torch.arange(4) > 1
    assert best_f1(torch.tensor([-15.0, -9.0, 11.0, 20.0]), anomalous) == 1.0
    one = np.float32(1)
    above = np.nextafter(one, np.float32(2))
    assert best_f1(torch.tensor([0.5, float(one), float(above), 3.0]), anomalous) == above, "no float32 is between them"
    assert best_f1(torch.tensor([3.0, 2.0, 1.0, 1.0]), anomalous) == 1.0, "nothing is lower"


@pytest.mark.parametrize("rule", [most_correct, best_f1, false_positive_budget])
def test_a_rule_does_what_trying_every_threshold_does(rule: Callable[[Tensor, Tensor], float]) -> None:
    stream = torch.Generator().manual_seed(0)
    for _ in range(20):
        scores = torch.randint(0, 12, (40,), generator=stream).double()
        anomalous = torch.rand(40, generator=stream) < 0.3 + 0.03 * scores
        tried = [*scores.unique().tolist(), math.inf]
        figures = [at_threshold(scores, anomalous, each) for each in tried]
        chosen = at_threshold(scores, anomalous, rule(scores, anomalous))
        if rule is most_correct:
            assert chosen["accuracy"] == max(each["accuracy"] for each in figures)
        elif rule is best_f1:
            assert chosen["f1"] == pytest.approx(max(each["f1"] for each in figures))
        else:
            allowed = [t for t in tried if (scores[~anomalous] >= t).double().mean() <= 0.05]
            assert rule(scores, anomalous) == min(allowed)


def test_figures_at_a_threshold() -> None:
    # at 3: flagged 3, 4, 5, 6; of them 3, 5, 6 are anomalies; 1 and 2 are left, rightly
    figures = at_threshold(SCORES, ANOMALOUS, 3.0)
    assert figures == pytest.approx({"accuracy": 5 / 6, "precision": 3 / 4, "recall": 1.0, "f1": 6 / 7, "fpr": 1 / 3})
    assert confusion(SCORES, ANOMALOUS, 3.0).tolist() == [[2, 1], [0, 3]]
    nothing = at_threshold(SCORES, ANOMALOUS, math.inf)
    assert nothing == {"accuracy": 0.5, "precision": 0.0, "recall": 0.0, "f1": 0.0, "fpr": 0.0}
    assert confusion(SCORES, ANOMALOUS, math.inf).tolist() == [[3, 0], [3, 0]]


def test_two_scores_flag_what_is_far_from_normal_in_both() -> None:
    error = torch.tensor([1.0, 3.0, 6.0, 2.0, 6.0])
    density = torch.tensor([-10.0, -14.0, -20.0, -30.0, -12.0])
    anomalous = torch.tensor([False, False, True, True, True])
    # normal: error 2 +- 1, log density -12 +- 2; distances (4, 4), (0, 9) and (4, 0) of the anomalies
    rule = TwoScores.of(error, density, anomalous)
    assert (rule.means, rule.spreads) == ((2.0, -12.0), (1.0, 2.0))
    assert rule.distance(error, density).tolist() == [1.0, 1.0, 4.0, 0.0, 0.0]
    assert most_correct(rule.distance(error, density), anomalous) == 4.0
    with pytest.raises(ValueError, match="expected scores that vary"):
        TwoScores.of(torch.ones(5), density, anomalous)
    with pytest.raises(ValueError, match="expected equal shapes"):
        rule.distance(error, density[:1])


@pytest.mark.parametrize(
    ("scores", "anomalous", "message"),
    [
        (SCORES, torch.zeros(6, dtype=torch.bool), "one kind only"),
        (SCORES, torch.ones(6, dtype=torch.bool), "one kind only"),
        (SCORES[:, None], ANOMALOUS[:, None], "expected two shapes"),
        (SCORES[:1], ANOMALOUS, "expected two shapes"),
        (SCORES / 0, ANOMALOUS, "expected finite scores"),
    ],
)
def test_scores_that_decide_nothing_are_refused(scores: Tensor, anomalous: Tensor, message: str) -> None:
    for rule in RULES.values():
        with pytest.raises(ValueError, match=message):
            rule(scores, anomalous)
    with pytest.raises(ValueError, match=message):
        at_threshold(scores, anomalous, 0.0)


def test_a_trained_model_keeps_how_many_images_its_threshold_was_chosen_on_and_flags() -> None:
    kept = decision_rule(SCORES, ANOMALOUS)
    assert kept == {
        "rule": "best F1", "threshold": 2.5, "anomalous": "at or above", "images": [3, 3], "flagged": [1, 3],
        "normal_scores": SCORES[~ANOMALOUS].tolist(),
    }  # fmt: skip
    normal = torch.arange(100.0)
    alone = decision_rule(normal, torch.zeros(100, dtype=torch.bool))
    assert (alone["rule"], alone["images"], alone["flagged"]) == ("95% quantile", [100, 0], [5, 0])
    assert decision_rule(torch.tensor([1.0, math.nan]), torch.tensor([False, True])) == {}
