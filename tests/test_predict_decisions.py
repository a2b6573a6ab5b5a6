"""How the models of several training seeds decide together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adcore.errors import UserError
from adcore.predict.decisions import own_rule, rule_at_rate
from adcore.thresholds import decision_rule

TWENTY, ANOMALIES = torch.arange(20.0), torch.tensor([3.5, 40.0])


@pytest.mark.parametrize(
    ("rate", "flagged"), [(0.0, 0), (0.04, 0), (0.05, 1), (0.29, 5), (0.3, 6), (0.35, 7), (0.5, 10), (1 - 1e-12, 19)]
)
def test_a_rate_of_false_positives_flags_as_many_normal_images_as_it_allows(rate: float, flagged: int) -> None:
    kept = decision_rule(torch.cat([TWENTY, ANOMALIES]), torch.arange(22) >= 20)
    found = rule_at_rate([kept], rate)
    assert found.validation == f"20 normal validation images, of which it flags {flagged}"
    assert int((found.threshold <= TWENTY).sum()) == flagged


def test_a_share_of_a_hundred_images_is_that_many() -> None:
    kept = decision_rule(torch.arange(100.0), torch.zeros(100, dtype=torch.bool))
    for count in range(100):
        assert rule_at_rate([kept], count / 100).validation.endswith(f"it flags {count}")


def test_equal_scores_are_flagged_together_or_not_at_all() -> None:
    kept = decision_rule(torch.tensor([1.0, 2, 2, 2, 3]), torch.zeros(5, dtype=torch.bool))
    thresholds = [rule_at_rate([kept], rate).threshold for rate in (0.2, 0.4, 0.6, 0.8)]
    assert thresholds == [2.5, 2.5, 2.5, 1.5]


def test_several_models_flag_what_the_rate_allows_of_their_mean_scores() -> None:
    draws = np.random.default_rng(0).normal(size=(3, 200)).astype(np.float32)
    kept = [decision_rule(torch.tensor(scores), torch.zeros(200, dtype=torch.bool)) for scores in draws]
    together, own = rule_at_rate(kept, 0.05), own_rule(kept)
    assert together.threshold
    assert own.threshold
    assert (draws.mean(0) >= together.threshold).sum() == 10
    assert (draws.mean(0) >= own.threshold).sum() < 10, "the mean of their thresholds is another rule"
    assert "mean of 3 thresholds" in own.validation


def test_a_score_that_is_computed_again_is_decided_as_before() -> None:
    scores = torch.rand(50, generator=torch.Generator().manual_seed(0))
    kept = decision_rule(scores, torch.zeros(50, dtype=torch.bool))
    for rate in (0.02, 0.1, 0.5):
        threshold = rule_at_rate([kept], rate).threshold
        assert threshold
        for factor in (1 - 1e-6, 1 + 1e-6):
            assert int((scores * factor >= threshold).sum()) == round(50 * rate)


@pytest.mark.parametrize("low", [0.5, 0.50000006, 1e-3, 1e9])
def test_neighbouring_scores_are_told_apart_in_float32_too(low: float) -> None:
    scores = torch.tensor([low] * 3 + [float(np.nextafter(np.float32(low), np.float32(np.inf)))])
    threshold = rule_at_rate([decision_rule(scores, torch.zeros(4, dtype=torch.bool))], 0.25).threshold
    assert int((scores.numpy() >= np.float32(threshold)).sum()) == 1


def test_models_without_the_scores_are_refused() -> None:
    kept = decision_rule(TWENTY, torch.zeros(20, dtype=torch.bool))
    del kept["normal_scores"]
    with pytest.raises(UserError, match="--false-positive-rate 0\\.1: an earlier version"):
        rule_at_rate([kept], 0.1)
