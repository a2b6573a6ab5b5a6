"""TestScores: from the scores of the test part to the figures of each experiment."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adcore.config import TrainConfig
from adcore.errors import UserError
from adcore.evaluation.test_scores import (
    TestScores as Scores,  # under its own name pytest would take it for a class of tests
)
from adcore.metrics import METRICS, measure
from adcore.protocols.definitions import known_anomalies

LABELS = torch.arange(10).repeat(12)


def scored(**changes: Any) -> Scores:
    config = TrainConfig(dataset="digits", classes=(0, 3), **changes)
    return Scores(config, torch.rand(len(LABELS), 2, generator=torch.Generator().manual_seed(0)), LABELS)


@pytest.mark.parametrize("protocol", ["paper", "one-class"])
def test_without_unseen_classes_each_experiment_has_the_metrics_once(protocol: str) -> None:
    found = scored(protocol=protocol).measured()
    assert [(index, tuple(each)) for index, each in found.items()] == [(0, METRICS), (3, METRICS)]


def test_under_seen_unseen_each_metric_stands_for_all_and_for_either_kind_of_anomaly() -> None:
    found = scored(protocol="seen-unseen", known_classes=3).measured()
    names = {f"{metric}{ending}" for metric in METRICS for ending in ("", "_seen", "_unseen")}
    assert {index: set(each) for index, each in found.items()} == {0: names, 3: names}
    assert len(names) == 15


@pytest.mark.parametrize("protocol", ["paper", "seen-unseen", "one-class"])
def test_the_metrics_without_an_ending_are_over_every_anomaly(protocol: str) -> None:
    scores = scored(protocol=protocol)
    for member, (index, found) in enumerate(scores.measured().items()):
        expected = measure(scores.scores[:, member], scores.labels != index)
        assert {name: found[name] for name in METRICS} == expected


@pytest.mark.parametrize("known", [1, 3, 8])
def test_seen_and_unseen_anomalies_are_the_known_classes_and_the_rest(known: int) -> None:
    scores = scored(protocol="seen-unseen", known_classes=known)
    for index, found in scores.measured().items():
        kinds = scores.anomalous(index)
        assert set(LABELS[kinds["seen"]].tolist()) == set(known_anomalies(scores.config.exposure, index, 10, 0))
        assert not (kinds["seen"] & kinds["unseen"]).any()
        assert torch.equal(kinds["seen"] | kinds["unseen"], scores.labels != index)
        # AUROC is a share of pairs, so that over all anomalies it is the two kinds' weighted mean
        weighted = (known * found["auroc_seen"] + (9 - known) * found["auroc_unseen"]) / 9
        assert found["auroc"] == pytest.approx(weighted, abs=1e-12)
        assert found["auroc_seen"] != found["auroc_unseen"]


def test_known_classes_do_not_depend_on_which_images_are_tested() -> None:
    whole = scored(protocol="seen-unseen", known_classes=3)
    kept = LABELS != 9
    without = Scores(whole.config, whole.scores[kept], LABELS[kept])
    for index in (0, 3):
        for name, own in whole.anomalous(index).items():
            assert torch.equal(without.anomalous(index)[name], own[kept])


@pytest.mark.parametrize(
    ("protocol", "missing", "named"),
    [
        ("seen-unseen", "seen", "no seen anomalies of experiment 0"),
        ("seen-unseen", "unseen", "no unseen anomalies of experiment 0"),
        ("paper", "", "no anomalies of experiment 0"),
        ("paper", "normal", "no normal images of experiment 0"),
    ],
)
def test_a_test_part_without_a_kind_of_images_is_refused(protocol: str, missing: str, named: str) -> None:
    whole = scored(protocol=protocol)
    kept = ~(whole.normal(0) if missing == "normal" else whole.anomalous(0)[missing])
    without = Scores(whole.config, whole.scores[kept], LABELS[kept])
    with pytest.raises(UserError, match=named):
        without.measured()


def test_the_normal_class_is_never_an_anomaly_of_any_kind() -> None:
    scores = scored(protocol="seen-unseen", known_classes=2)
    for index in (0, 3):
        assert not any(kind[index == LABELS].any() for kind in scores.anomalous(index).values())


def test_each_member_has_its_own_normal_class() -> None:
    labels = torch.tensor([0, 0, 1, 2])
    values = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.8, 0.2]])

    def aurocs(*classes: int) -> list[float]:
        found = Scores(TrainConfig(dataset="digits", classes=classes), values, labels).measured()
        return [found[index]["auroc"] for index in classes]

    # member 0: class 0 normal, both anomalies above: 1; member 1: class 1 normal at .1, all else above: 1
    assert aurocs(0, 1) == [1.0, 1.0]
    # the other way round each is anomalous to the other; member 0 as class 1: .9 above .1, .2, .8: 0
    # member 1 as class 0: .9, .8 above .1, .2: 0
    assert aurocs(1, 0) == [0.0, 0.0]


def test_a_score_that_is_not_finite_makes_nan_of_its_own_member_alone() -> None:
    scores = scored()
    scores.scores[5, 1] = torch.nan
    found = scores.measured()
    assert found[0] == scored().measured()[0]
    assert all(value != value for value in found[3].values())
