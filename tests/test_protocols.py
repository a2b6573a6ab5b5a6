"""What an experiment is made of: fit and validation parts, normal and anomalous images."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.protocols.experiments import Experiment, one_vs_rest
from adcore.protocols.sampling import cluster
from adcore.protocols.splits import Split, cap_per_class, split


def experiments(
    data: ImageDataset,
    parts: Split,
    *,
    classes: tuple[int, ...] = tuple(range(10)),
    train_seed: int = 0,
    **changes: Any,
) -> list[Experiment]:
    settings: dict[str, Any] = {
        "sampling": "kmeans",
        "clusters": 5,
        "split_seed": 0,
        "content_hash": data.content_hash,
    }
    draw = one_vs_rest(data.images, data.labels, parts.fit, **(settings | changes))
    return [draw(index, train_seed, 0) for index in classes]


def per_class(data: ImageDataset, positions: torch.Tensor) -> list[int]:
    return data.labels[positions].bincount(minlength=10).tolist()


def test_fashion_mnist_splits_into_50000_and_10000_with_1000_of_each_class(fashion_train: ImageDataset) -> None:
    parts = split(fashion_train.labels, split_seed=0)
    assert (len(parts.fit), len(parts.validation)) == (50_000, 10_000)
    assert per_class(fashion_train, parts.validation) == [1000] * 10
    assert per_class(fashion_train, parts.fit) == [5000] * 10
    assert torch.equal(torch.cat([parts.fit, parts.validation]).sort().values, torch.arange(60_000))


def test_fashion_mnist_experiment_has_5000_normal_and_5000_balanced_anomalous_images(
    fashion_train: ImageDataset,
) -> None:
    parts = split(fashion_train.labels, split_seed=0)
    (shirt,) = experiments(fashion_train, parts, classes=(6,), sampling="random")
    assert (len(shirt.normal), len(shirt.anomalous)) == (5000, 5000)
    assert (fashion_train.labels[shirt.normal] == 6).all()
    assert (fashion_train.labels[shirt.anomalous] != 6).all()


def test_fit_and_validation_are_disjoint_complete_and_stratified(digits_train: ImageDataset) -> None:
    parts = split(digits_train.labels, split_seed=0)
    everything = torch.cat([parts.fit, parts.validation])
    assert torch.equal(everything.sort().values, torch.arange(len(digits_train.labels)))
    totals = digits_train.labels.bincount().tolist()
    assert per_class(digits_train, parts.validation) == [round(total / 6) for total in totals]


def test_split_is_a_matter_of_its_seed_alone(digits_train: ImageDataset) -> None:
    first, again, other = (split(digits_train.labels, split_seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.fit, again.fit)
    assert torch.equal(first.validation, again.validation)
    assert not torch.equal(first.validation, other.validation)


def test_caps_take_a_subset_of_each_part(digits_train: ImageDataset) -> None:
    whole = split(digits_train.labels, split_seed=0)
    capped = split(digits_train.labels, split_seed=0, images_per_class=20, validation_images=95)
    assert set(capped.fit.tolist()) < set(whole.fit.tolist())
    assert set(capped.validation.tolist()) < set(whole.validation.tolist())
    assert per_class(digits_train, capped.fit) == [20] * 10
    assert len(capped.validation) == 95
    assert sorted(per_class(digits_train, capped.validation)) == [9] * 5 + [10] * 5


def test_a_cap_above_the_number_of_images_changes_nothing(digits_train: ImageDataset) -> None:
    whole = split(digits_train.labels, split_seed=0)
    capped = split(digits_train.labels, split_seed=0, images_per_class=10**6, validation_images=10**6)
    assert torch.equal(whole.fit, capped.fit)
    assert torch.equal(whole.validation, capped.validation)


def test_fewer_validation_images_than_classes_are_refused(digits_train: ImageDataset) -> None:
    with pytest.raises(UserError, match=r"--validation-images 9: expected at least 10"):
        split(digits_train.labels, split_seed=0, validation_images=9)
    kept = split(digits_train.labels, split_seed=0, validation_images=10).validation
    assert per_class(digits_train, kept) == [1] * 10


def test_cap_per_class_takes_the_first_of_each_class_in_order(digits_test: ImageDataset) -> None:
    kept = cap_per_class(digits_test.labels, 7)
    expected = [i for i, y in enumerate(digits_test.labels) if (digits_test.labels[:i] == y).sum() < 7]
    assert kept.tolist() == expected
    assert len(kept) == 70


def test_without_a_cap_the_test_part_stays_as_it_is(digits_test: ImageDataset) -> None:
    assert torch.equal(cap_per_class(digits_test.labels, None), torch.arange(len(digits_test.labels)))


@pytest.mark.parametrize("sampling", ["kmeans", "random"])
def test_sampling_touches_the_fit_images_only(digits_train: ImageDataset, sampling: str) -> None:
    parts = split(digits_train.labels, split_seed=0)
    before = parts.validation.clone()
    made = experiments(digits_train, parts, sampling=sampling)
    fit = set(parts.fit.tolist())
    assert len(made) == 10
    for experiment in made:
        assert set(experiment.normal.tolist()) | set(experiment.anomalous.tolist()) <= fit
    assert torch.equal(parts.validation, before)
    # every class as it is: nine times as many anomalies as normal images, give or take the classes' own sizes
    totals = digits_train.labels.bincount().tolist()
    assert per_class(digits_train, parts.validation) == [round(total / 6) for total in totals]


@pytest.mark.parametrize("sampling", ["kmeans", "random"])
def test_an_experiment_has_as_many_anomalies_as_normal_images_and_none_twice(
    digits_train: ImageDataset, sampling: str
) -> None:
    parts = split(digits_train.labels, split_seed=0)
    smallest = min(per_class(digits_train, parts.fit))
    made = experiments(digits_train, parts, sampling=sampling)
    assert [experiment.normal_class for experiment in made] == list(range(10))
    for experiment in made:
        assert len(set(experiment.normal.tolist())) == len(experiment.normal) == smallest
        assert len(set(experiment.anomalous.tolist())) == len(experiment.anomalous) == smallest
        assert (digits_train.labels[experiment.normal] == experiment.normal_class).all()
        assert (digits_train.labels[experiment.anomalous] != experiment.normal_class).all()


def test_anomalies_are_balanced_over_classes_and_over_their_clusters(digits_train: ImageDataset) -> None:
    parts = split(digits_train.labels, split_seed=0)
    labels = digits_train.labels[parts.fit]
    groups = torch.full_like(digits_train.labels, -1)
    groups[parts.fit] = cluster(
        digits_train.images[parts.fit], labels, clusters=5, seed=0, name=digits_train.content_hash
    )
    for experiment in experiments(digits_train, parts):
        counts = per_class(digits_train, experiment.anomalous)
        assert counts.pop(experiment.normal_class) == 0
        assert max(counts) - min(counts) <= 1
        for index in set(range(10)) - {experiment.normal_class}:
            own = experiment.anomalous[digits_train.labels[experiment.anomalous] == index]
            taken = groups[own].bincount(minlength=5)
            there = groups[digits_train.labels == index].clamp_min(0)
            sizes = there[groups[digits_train.labels == index] >= 0].bincount(minlength=5)
            roomy = taken[taken < sizes]
            assert roomy.max() - roomy.min() <= 1
            assert taken.max() <= roomy.min() + 1


def test_an_experiment_is_the_same_whatever_classes_are_selected_beside_it(digits_train: ImageDataset) -> None:
    parts = split(digits_train.labels, split_seed=0)
    everything = experiments(digits_train, parts)
    assert len({len(experiment.normal) for experiment in everything}) == 1
    for index in (0, 4):
        (alone,) = experiments(digits_train, parts, classes=(index,))
        assert torch.equal(alone.normal, everything[index].normal)
        assert torch.equal(alone.anomalous, everything[index].anomalous)


@pytest.mark.parametrize("sampling", ["kmeans", "random"])
def test_same_train_seed_same_images_and_another_seed_others(digits_train: ImageDataset, sampling: str) -> None:
    parts = split(digits_train.labels, split_seed=0)
    first, again, other = (
        experiments(digits_train, parts, classes=(3,), sampling=sampling, train_seed=seed)[0] for seed in (0, 0, 1)
    )
    assert torch.equal(first.anomalous, again.anomalous)
    assert torch.equal(first.normal, again.normal)
    assert set(first.anomalous.tolist()) != set(other.anomalous.tolist())
    assert set(first.normal.tolist()) != set(other.normal.tolist())
