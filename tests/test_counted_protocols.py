"""Protocols whose numbers of images are fixed, and k-fold cross-validation: who is where, and how many."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset, load
from adcore.errors import UserError
from adcore.evaluation.test_scores import score_test
from adcore.metrics import measure
from adcore.protocols.definitions import COUNTS, FOLDS, HELD_OUT, PROTOCOLS, Exposure
from adcore.protocols.experiments import one_vs_rest
from adcore.protocols.splits import select
from adcore.train import train
from adcore.train.build import split_train

#: A detector that can be trained under each protocol.
DETECTORS = {"rare-504": "cnn", "normal-4500": "autoencoder"}
Parts = dict[str, ImageDataset]
every_count = pytest.mark.parametrize("protocol", COUNTS)


@pytest.fixture(scope="module")
def mnist() -> Parts:
    return {"train": load("mnist", "train"), "test": load("mnist", "test")}


def settings(protocol: str, normal: int = 0, dataset: str = "mnist", **changes: Any) -> TrainConfig:
    given = {"sampling": "random", "images_per_class": None, "validation_images": None, **changes}
    return TrainConfig(dataset, (normal,), protocol=protocol, **{"detector": DETECTORS.get(protocol, "gan"), **given})


def kinds(labels: Tensor, places: Tensor, normal: int = 0) -> tuple[int, int]:
    """How many images are normal, and how many anomalous."""
    own = int((labels[places] == normal).sum())
    return own, len(places) - own


def shown(config: TrainConfig, data: ImageDataset) -> tuple[Tensor, Tensor]:
    """What training is shown: normal and anomalous images."""
    draw = one_vs_rest(
        data.images, data.labels, split_train(config, data.labels).fit, sampling="random", clusters=1,
        split_seed=config.split_seed, content_hash=data.content_hash, exposure=config.exposure,
    )  # fmt: skip
    made = draw(config.classes[0], config.train_seed, 0)
    return made.normal, made.anomalous


def for_the_test(config: TrainConfig, data: ImageDataset) -> Tensor:
    return select(data.labels, config.exposure, config.classes[0], part="test", split_seed=config.split_seed)


#: Normal and anomalous images in fit, validation and test, and different anomalies that training is shown. MNIST has
#: 5,923 + 980 zeros and 6,742 + 1,135 ones; a fifth of 5,923 is 1,184.6 and one of 504 is 100.8: rounded.
EXPECTED = {
    ("balanced-9600", 0): ((4738, 4800), (1185, 1200), (980, 1000), 4738),
    ("balanced-9600", 1): ((4800, 4800), (1200, 1200), (1000, 1000), 4800),
    ("rare-504", 0): ((4738, 403), (1185, 101), (980, 90), 403),
    ("normal-4500", 0): ((4500, 403), (1125, 101), (500, 500), 0),
}


@pytest.mark.parametrize(("protocol", "normal"), EXPECTED)
def test_each_part_of_mnist_has_the_protocols_numbers(mnist: Parts, protocol: str, normal: int) -> None:
    labels, config = mnist["train"].labels, settings(protocol, normal)
    fit, validation, test, different = EXPECTED[protocol, normal]
    parts = split_train(config, labels)
    assert (kinds(labels, parts.fit, normal), kinds(labels, parts.validation, normal)) == (fit, validation)
    assert len(torch.cat([parts.fit, parts.validation]).unique()) == sum(fit) + sum(validation), "disjoint"
    own, anomalous = shown(config, mnist["train"])
    assert torch.isin(torch.cat([own, anomalous]), parts.fit).all()
    assert (kinds(labels, own, normal), len(own.unique())) == ((fit[0], 0), fit[0])
    assert kinds(labels, anomalous, normal) == (0, fit[0] if different else 0), "repeated to fill"
    assert len(anomalous.unique()) == different
    kept = for_the_test(config, mnist["test"])
    assert kinds(mnist["test"].labels, kept.unique(), normal) == test
    assert set(mnist["test"].labels[kept].tolist()) == set(range(10))


@every_count
def test_the_selection_is_a_matter_of_the_split_seed_alone(mnist: Parts, protocol: str) -> None:
    found = []
    for changes in ({}, {"train_seed": 1, "sampling": "kmeans"}, {"split_seed": 1}):
        config = settings(protocol, **changes)
        parts = split_train(config, mnist["train"].labels)
        found.append([part.tolist() for part in (parts.fit, parts.validation, for_the_test(config, mnist["test"]))])
    assert found[0] == found[1]
    assert all(one != other for one, other in zip(found[0], found[2], strict=True))


@pytest.mark.parametrize("protocol", [each for each in PROTOCOLS if each != HELD_OUT])
def test_five_folds_validate_on_every_image_once_and_fit_the_others(digits_train: ImageDataset, protocol: str) -> None:
    labels, usual = digits_train.labels, settings(protocol, 3, "digits")
    parts = [split_train(dataclasses.replace(usual, fold=fold), labels) for fold in range(FOLDS)]
    everything = torch.cat([each.validation for each in parts]).sort().values
    strata = (labels != 3).long() if usual.exposure.counts else labels
    for each in parts:
        assert torch.equal(torch.cat([each.fit, each.validation]).sort().values, everything)
        assert ((strata[each.validation].bincount() - strata[everything].bincount() / FOLDS).abs() < 1).all()
    if usual.exposure.counts:
        assert len(everything.unique()) == len(everything)
        assert torch.equal(split_train(usual, labels).validation, parts[0].validation), "the first is held out"
    else:
        assert torch.equal(everything, torch.arange(len(labels)))


@every_count
def test_caps_take_a_subset_and_leave_images_of_both_kinds(digits_train: ImageDataset, protocol: str) -> None:
    labels, config = digits_train.labels, settings(protocol, 3, "digits")
    whole = split_train(config, labels)
    capped = split_train(dataclasses.replace(config, images_per_class=20, validation_images=11), labels)
    assert kinds(labels, capped.fit, 3) == (20, 20)
    assert sorted(kinds(labels, capped.validation, 3)) == [5, 6]
    assert set(capped.fit.tolist()) < set(whole.fit.tolist())
    assert set(capped.validation.tolist()) < set(whole.validation.tolist())
    assert kinds(labels, split_train(dataclasses.replace(config, validation_images=2), labels).validation, 3) == (1, 1)
    with pytest.raises(UserError, match="--validation-images 1: expected at least 2"):
        split_train(dataclasses.replace(config, validation_images=1), labels)


@every_count
def test_a_training_and_its_test_see_the_selected_images_alone(
    digits_train: ImageDataset, digits_test: ImageDataset, protocol: str
) -> None:
    config = settings(protocol, 3, "digits", width=4, epochs=1)
    is_left = torch.ones(len(digits_train.labels), dtype=torch.bool)
    is_left[select(digits_train.labels, config.exposure, 3, part="train", split_seed=0)] = False
    assert is_left.any() == (protocol != "balanced-9600"), "all of the few digits are below its numbers"
    images = torch.where(is_left[:, None, None, None], 255 - digits_train.images, digits_train.images)
    changed = dataclasses.replace(digits_train, images=images)
    one, other = (train(config, lambda _: None, data=data) for data in (digits_train, changed))
    assert one.history[0] == other.history[0] | {"images_per_second": one.history[0]["images_per_second"]}
    scores = score_test(one.detector, dataclasses.replace(config, images_per_class=15), digits_test)
    assert kinds(scores.labels, torch.arange(len(scores.labels)), 3) == (15, 15)
    assert scores.measured() == {3: measure(scores.scores[:, 0], scores.labels != 3)}


def test_what_a_counted_protocol_cannot_do_is_refused_in_a_line() -> None:
    for protocol in COUNTS:
        with pytest.raises(UserError, match=rf"^--classes 3,5: --protocol {protocol} trains one class.*--classes 3$"):
            TrainConfig(protocol=protocol, classes=(3, 5))
    with pytest.raises(UserError, match=r"--detector cnn: .* --protocol normal-4500 has none"):
        settings("normal-4500", detector="cnn")
    with pytest.raises(ValueError, match="expected a counted protocol, got 'paper'"):
        select(torch.arange(10), Exposure(), 0, part="test", split_seed=0)
