"""What a sweep found, in numbers and in a sentence: on figures small enough to follow by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from adcore.metric_names import interval_ends, with_interval
from sweeps.engine.record.configuration import Configuration
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.results.summary import Summary, confirmed_means, final_metrics, summarise
from sweeps.engine.results.test_result import (
    TestResult as Result,  # under its own name pytest would take it for a class of tests
)

T2, Z = 4.302653, 1.959964  # Student's t at two degrees of freedom, and the normal quantile, of 95 %


def confirmed(number: int, *means: float, searched: float | None = 0.8) -> Confirmation:
    """Seeds 1, 2, ... with these means over the classes 0 and 3."""
    state = "stopped" if searched is None else "complete"
    own = Configuration(number, {"weight_abc": 1.0 + number}, state=state, value=searched)
    return Confirmation(own, {seed: {0: mean - 0.01, 3: mean + 0.01} for seed, mean in enumerate(means, 1)})


def on_test(
    means: dict[int, list[float]], *, image_variance: float = 0.0, comparisons: tuple[str, ...] = ("",)
) -> Result:
    """Test AUROCs by configuration, one per seed; the models' image errors are independent, of this variance each."""
    models = [(number, seed) for number, values in means.items() for seed in range(1, len(values) + 1)]
    measured = {}
    for number, seed in models:
        value = means[number][seed - 1]
        names = [f"auroc_{name}".rstrip("_") for name in comparisons]
        measured[number, seed] = {i: dict.fromkeys(names, value + shift) for i, shift in ((0, -0.02), (3, 0.02))}
    return Result(measured, {name: image_variance * np.eye(len(models)) for name in comparisons}, images=4000)


def summary_of(
    means: dict[int, list[float]], names: dict[int, str] | None = None, *, image_variance: float = 0.0, **changes: Any
) -> Summary:
    settings: dict[str, Any] = {"validation_images": 1000, "same_training": True}
    test = on_test(means, image_variance=image_variance)
    return summarise([confirmed(n, *v) for n, v in means.items()], test, names or {}, **(settings | changes))


def test_a_lead_beyond_noise_by_hand() -> None:
    summary = summary_of({4: [0.90, 0.92], 0: [0.80, 0.82]}, {0: "default"})
    [lead] = summary.comparisons
    # each pair of seeds has a variance of 2 * .01^2; a difference has twice that, its mean over two seeds half of it
    assert (lead.configuration, lead.name) == (0, "default")
    assert lead.difference.value == pytest.approx(0.1)
    assert lead.difference.half == pytest.approx(T2 * math.sqrt(2e-4), rel=1e-6)
    assert summary.sentence == (
        "On the test part the winner leads the default by 0.1000 (95 % interval of the difference 0.0392 to 0.1608, "
        "2 seeds, the same images): beyond noise."
    )


def test_a_lead_within_noise_is_called_so() -> None:
    sentence = summary_of({4: [0.85, 0.87], 0: [0.80, 0.82]}, {0: "default"}).sentence
    assert "leads the default by 0.0500 (95 % interval of the difference -0.0108 to 0.1108" in sentence
    assert sentence.endswith(": within noise.")


def test_a_winner_that_is_clearly_worse_on_the_test_part_is_said_to_be_behind() -> None:
    sentence = summary_of({4: [0.80, 0.82], 0: [0.90, 0.92]}, {0: "default"}).sentence
    assert "is behind the default by 0.1000 (95 % interval of the difference 0.0392 to 0.1608" in sentence
    assert sentence.endswith("beyond noise.")


def test_a_lead_that_four_decimals_do_not_show_is_none_and_no_end_is_minus_zero() -> None:
    assert (
        "is level with the default (95 % interval of the difference -0.0608 to"
        in summary_of({4: [0.80001, 0.82001], 0: [0.80, 0.82]}, {0: "default"}).sentence
    )
    half = T2 * math.sqrt(2e-4)
    lead = summary_of({4: [0.79998 + half, 0.81998 + half], 0: [0.80, 0.82]}, {0: "default"})
    assert -5e-5 < lead.comparisons[0].difference.low < 0
    assert "(95 % interval of the difference 0.0000 to" in lead.sentence


@pytest.mark.parametrize(("mean", "said"), [(0.52, True), (0.45, True), (0.6, False)])
def test_a_winner_that_may_be_no_better_than_chance_is_said_to_be_so(mean: float, said: bool) -> None:
    summary = summary_of({4: [mean, mean + 0.02], 0: [0.3, 0.32]}, {0: "default"})
    assert ("is not shown to be better than chance, an AUROC of 0.5: more images or" in summary.sentence) == said


def test_images_without_variation_tell_no_interval_and_no_difference() -> None:
    summary = summary_of({4: [1.0], 0: [1.0]}, {0: "default"})
    assert summary.sentence == (
        "On the test part the winner and the default are level: its images do not tell them apart."
    )
    test = summary.test[""]
    assert with_interval(test.value, test.low, test.high) == "1.0000 (no variation among the images, so no interval)"
    assert interval_ends(test.low, test.high) == "no variation"
    assert with_interval(0.9, 0.85, 1.02) == "0.9000 (95 % interval 0.8500 to 1.0000)"


def test_the_interval_of_a_metric_ends_at_1_and_that_of_a_difference_does_not() -> None:
    summary = summary_of({4: [0.99, 0.98], 0: [0.02, 0.03]}, {0: "default"})
    assert (summary.confirm.high, summary.test[""].high) == (1, 1)
    assert summary.comparisons[0].difference.high > 0.96


def test_images_alone_can_put_a_lead_within_noise() -> None:
    means, names = {4: [0.9, 0.9], 0: [0.8, 0.8]}, {0: "default"}
    # two models of each configuration: a difference of means has the variance of one model
    for image_variance, verdict in ((0.05**2, "beyond"), (0.052**2, "within")):
        assert Z * 0.05 < 0.1 < Z * 0.052
        assert f"{verdict} noise" in summary_of(means, names, image_variance=image_variance).sentence


def test_with_one_seed_the_interval_is_of_images_alone() -> None:
    summary = summary_of({4: [0.9], 0: [0.8]}, {0: "default"}, image_variance=1e-4)
    assert summary.comparisons[0].difference.half == pytest.approx(Z * math.sqrt(2e-4), rel=1e-6)
    assert "1 seed, the same images" in summary.sentence


def test_references_are_compared_first_and_others_go_by_number() -> None:
    means = {4: [0.9, 0.91], 7: [0.88, 0.89], 0: [0.8, 0.81], 2: [0.7, 0.71]}
    summary = summary_of(means, {0: "default", 2: "paper"})
    assert [(each.configuration, each.name) for each in summary.comparisons] == [(0, "default"), (2, "paper"), (7, "")]
    assert "leads the default by" in summary.sentence
    assert "leads configuration 7 by" in summary_of({4: [0.9, 0.91], 7: [0.88, 0.89]}).sentence


def test_where_the_default_wins_it_is_compared_with_the_next() -> None:
    summary = summary_of({0: [0.9, 0.91], 7: [0.88, 0.89]}, {0: "default"})
    assert [(each.configuration, each.name) for each in summary.comparisons] == [(7, "")]
    assert summary.sentence.startswith(
        "On validation nothing was confirmed to be better than the default. On the test part the"
    )
    assert "leads configuration 7 by" in summary.sentence
    assert "confirmed to be better" not in summary_of({7: [0.9, 0.91], 0: [0.88, 0.89]}, {0: "default"}).sentence


def test_a_point_that_is_no_reference_is_named_beside_its_number() -> None:
    means = {4: [0.9, 0.91], 1: [0.88, 0.89], 0: [0.8, 0.81]}
    summary = summary_of(means, {0: "default"}, point_names={0: "default", 1: "point 1"})
    assert [(each.configuration, each.name) for each in summary.comparisons] == [(0, "default"), (1, "point 1")]
    alone = summary_of({0: [0.9, 0.91], 1: [0.88, 0.89]}, {0: "default"}, point_names={1: "point 1"})
    assert "leads configuration 1 (point 1) by" in alone.sentence


def test_a_winner_alone_is_not_judged() -> None:
    summary = summary_of({0: [0.9, 0.91]}, {0: "default"})
    assert summary.comparisons == []
    assert summary.sentence.startswith("Nothing was confirmed beside the winner")


def test_in_a_grid_every_point_is_compared_with_the_first_which_is_taken_away() -> None:
    means = {0: [0.8, 0.82], 1: [0.9, 0.92], 2: [0.7, 0.72]}
    for is_grid, sign in ((True, 1), (False, -1)):
        differences = {
            each.configuration: each.difference for each in summary_of(means, {0: "all"}, is_grid=is_grid).comparisons
        }
        assert {n: d.value for n, d in differences.items()} == pytest.approx({1: sign * 0.1, 2: sign * -0.1})


def test_the_searchs_interval_is_of_one_seed_and_absent_where_its_trainings_were_others() -> None:
    means = {4: [0.90, 0.92], 0: [0.80, 0.82]}
    summary = summary_of(means, image_variance=1e-4)
    assert summary.search
    assert summary.search.value == 0.8
    # one seed: its whole variance; images: one model's, on a quarter of the test part's number
    assert summary.search.half == pytest.approx(math.hypot(T2 * math.sqrt(2e-4), Z * 0.02), rel=1e-6)
    assert summary.confirm.half == pytest.approx(math.hypot(T2 * 0.01, Z * 0.02 / math.sqrt(2)), rel=1e-6)
    assert summary.test[""].half == pytest.approx(math.hypot(T2 * 0.01, Z * 0.01 / math.sqrt(2)), rel=1e-6)
    assert summary_of(means, same_training=False).search is None
    first = confirmed(4, 0.9, searched=None)
    alone = summarise([first], on_test({4: [0.9]}), {}, validation_images=1000, same_training=True)
    assert alone.search is None, "a configuration that the search did not train to the end"


def test_validation_images_of_another_mix_have_the_variance_of_each_kind_at_its_own_number() -> None:
    # a quarter of the images' variance is of normal images, and there are ten times as many as in the test part
    test = dataclasses.replace(
        on_test({4: [0.9]}, image_variance=1e-4),
        kind_shares={4: [[0.25, 0.75, 0.0], [0.25, 0.75, 0.0]]}, kind_weights=(1 / 50, 1 / 20, 0.0),
    )  # fmt: skip
    weights = 1 / 500, 1 / 20, 0.0
    summary = summarise(
        [confirmed(4, 0.9)], test, {}, validation_images=520, validation_weights=weights, same_training=True
    )
    assert summary.search
    for each in (summary.confirm, summary.search):
        assert each.half == pytest.approx(Z * 0.01 * math.sqrt(0.25 / 10 + 0.75), rel=1e-6)


def test_confirm_is_the_validation_mean_and_test_the_test_mean() -> None:
    found = [confirmed(4, 0.90, 0.92), confirmed(0, 0.80, 0.82)]
    test = on_test({4: [0.85, 0.87], 0: [0.70, 0.72]})
    summary = summarise(found, test, {}, validation_images=1000, same_training=False)
    assert summary.confirm.value == pytest.approx(0.91)
    assert summary.test[""].value == pytest.approx(0.86)
    assert confirmed_means(found, test) == {
        4: {"confirm_auroc_mean": pytest.approx(0.91), "test_auroc_mean": pytest.approx(0.86)},
        0: {"confirm_auroc_mean": pytest.approx(0.81), "test_auroc_mean": pytest.approx(0.71)},
    }


def test_under_seen_unseen_validation_has_the_image_variance_of_the_seen_anomalies() -> None:
    test = on_test({4: [0.9]}, comparisons=("", "seen", "unseen"))
    test = dataclasses.replace(test, covariance={"": np.eye(1), "seen": 4e-4 * np.eye(1), "unseen": np.eye(1)})
    summary = summarise([confirmed(4, 0.9)], test, {}, validation_images=4000, same_training=True)
    assert set(summary.test) == {"", "seen", "unseen"}
    assert summary.search
    for each in (summary.confirm, summary.search, summary.test["seen"]):
        assert each.half == pytest.approx(Z * 0.02, rel=1e-6)
    assert summary.test["unseen"].half == pytest.approx(Z, rel=1e-6)


def test_mlflow_is_told_every_metric_of_the_winner_alone_with_the_interval_of_auroc() -> None:
    found = [confirmed(4, 0.90, 0.92), confirmed(0, 0.80, 0.82)]
    test = on_test({4: [0.85, 0.87], 0: [0.70, 0.72]}, image_variance=1e-4, comparisons=("", "seen"))
    summary = summarise(found, test, {}, validation_images=1000, same_training=False)
    metrics = final_metrics(summary, test)
    assert metrics["val_auroc_mean"] == pytest.approx(0.91)
    assert metrics["val_auroc_3"] == pytest.approx(0.92)
    assert metrics["test_auroc_mean"] == pytest.approx(0.86)
    assert metrics["test_auroc_seen_3"] == pytest.approx(0.88)
    assert metrics["test_auroc_mean_low"] == summary.test[""].low
    assert metrics["test_auroc_seen_mean_high"] == summary.test["seen"].high
    assert {name.removesuffix("_mean") for name in metrics if name.endswith("_mean")} == {
        "val_auroc", "test_auroc", "test_auroc_seen",
    }  # fmt: skip
