"""Leave-one-out: one class is left out as the anomaly, all others are normal."""

from __future__ import annotations

import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.evaluation.test_scores import score_test
from adcore.metrics import measure
from adcore.protocols.definitions import Exposure
from adcore.protocols.splits import split
from adcore.train import train
from tests.drawn_experiments import KMEANS_OR_RANDOM, classes_of, drawn


@KMEANS_OR_RANDOM
def test_leave_one_out_turns_normal_and_anomalous_round_in_their_natural_numbers(
    digits_train: ImageDataset, sampling: str
) -> None:
    fit = split(digits_train.labels, split_seed=0).fit
    sizes = digits_train.labels[fit].bincount()
    made = drawn(digits_train, Exposure("leave-one-out"), sampling=sampling)
    assert len(made) == 10
    for index, each in enumerate(made):
        # one size for all: what is left of the fit images without the largest class
        assert len(each.normal) == len(each.normal.unique()) == len(each.anomalous) == len(fit) - sizes.max()
        assert classes_of(digits_train, each.normal) == set(range(10)) - {index}
        assert classes_of(digits_train, each.anomalous) == {index}
        assert len(each.anomalous.unique()) == sizes[index], "every anomaly that there is"


def test_leave_one_out_pollutes_the_normal_images_with_the_class_left_out(digits_train: ImageDataset) -> None:
    (each,) = drawn(digits_train, Exposure("leave-one-out", pollution=0.05), classes=(5,))
    hidden = each.normal[digits_train.labels[each.normal] == 5]
    assert len(hidden) == round(0.05 * len(each.normal))
    assert not torch.isin(hidden, each.anomalous).any()


def test_leave_one_out_is_measured_with_the_class_left_out_as_anomalies(
    digits_train: ImageDataset, digits_test: ImageDataset
) -> None:
    config = TrainConfig(
        dataset="digits", classes=(0, 3), width=8, epochs=2, protocol="leave-one-out", detector="cnn", sampling="random"
    )
    reports: list[dict[str, float]] = []
    result = train(config, reports.append, data=digits_train)
    assert min(reports[-1]["val_auroc_0"], reports[-1]["val_auroc_3"]) > 0.9
    tested = score_test(result.detector, config, digits_test)
    for member, index in enumerate((0, 3)):
        assert torch.equal(tested.anomalous(index)[""], digits_test.labels == index)
        assert torch.equal(tested.normal(index), digits_test.labels != index)
        expected = measure(tested.scores[:, member], digits_test.labels == index)
        assert tested.measured()[index] == expected
        assert expected["auroc"] > 0.9
