"""Which anomalies training and validation see, under each protocol."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.metrics import METRICS
from adcore.protocols.definitions import Exposure, known_anomalies
from adcore.protocols.experiments import one_vs_rest
from adcore.protocols.sampling import cluster, draw_by_cluster, draw_random
from adcore.protocols.splits import split
from adcore.random_streams import generator
from adcore.train import epoch_end, train
from adcore.train.epoch_end import EpochEnd
from adcore.train.members import members_of
from adcore.train.pack import Pack
from tests.drawn_experiments import KMEANS_OR_RANDOM, classes_of, drawn


@pytest.mark.parametrize(
    ("exposure", "words"),
    [
        (Exposure(), "with labelled anomalies of every other class"),
        (Exposure("balanced-9600"), "with labelled anomalies of every other class"),
        (Exposure("normal-4500"), "without labelled anomalies; validation has some"),
        (Exposure("one-class"), "without labelled anomalies; validation has some"),
        (Exposure("seen-unseen"), "with labelled anomalies of 1 other class, not of the rest"),
        (Exposure("seen-unseen", 3), "with labelled anomalies of 3 other classes, not of the rest"),
        (Exposure("leave-one-out"), "with labelled images of the anomalous class"),
    ],
)
def test_what_training_sees_is_told_in_words(exposure: Exposure, words: str) -> None:
    assert exposure.in_words == words


@pytest.mark.parametrize(
    ("detector", "words"),
    [("gan", "with labelled anomalies of every other class"), ("vae", "on normal images alone")],
)
def test_a_detector_that_ignores_anomalies_is_said_to_be_trained_without_them(detector: str, words: str) -> None:
    assert TrainConfig(detector=detector).training_in_words == words
    assert TrainConfig(detector=detector, protocol="one-class").training_in_words.startswith("without labelled")


@KMEANS_OR_RANDOM
@pytest.mark.parametrize("known", [1, 3, 8])
def test_fit_images_are_of_the_normal_class_and_of_exactly_the_known_ones(
    digits_train: ImageDataset, known: int, sampling: str
) -> None:
    exposure = Exposure("seen-unseen", known, pollution=0.2)
    made = drawn(digits_train, exposure, sampling=sampling)
    assert len(made) == 10
    for each in made:
        seen = set(known_anomalies(exposure, each.normal_class, 10, 0))
        assert len(seen - {each.normal_class}) == known
        assert classes_of(digits_train, each.anomalous) == seen
        assert {each.normal_class} < classes_of(digits_train, each.normal) <= {each.normal_class, *seen}


def test_known_classes_are_the_same_for_every_training_and_others_for_another_split(digits_train: ImageDataset) -> None:
    exposure = Exposure("seen-unseen", 2)
    by_training = set()
    for seed in range(5):
        made = drawn(digits_train, exposure, train_seed=seed)
        by_training.add(tuple(tuple(sorted(classes_of(digits_train, each.anomalous))) for each in made))
    assert len(by_training) == 1
    by_split = [tuple(known_anomalies(exposure, normal, 10, seed) for normal in range(10)) for seed in range(5)]
    assert by_training == {tuple(tuple(each) for each in by_split[0])}
    assert len({str(each) for each in by_split}) == 5


def test_every_class_is_known_to_some_experiment_and_unknown_to_another() -> None:
    known = [
        known_anomalies(Exposure("seen-unseen", 1), normal, 10, seed) for normal in range(10) for seed in range(20)
    ]
    assert {index for each in known for index in each} == set(range(10))


@pytest.mark.parametrize("exposure", [Exposure(), Exposure("one-class")])
def test_without_unseen_classes_validation_counts_every_anomaly(exposure: Exposure) -> None:
    assert known_anomalies(exposure, 4, 10, 0) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@KMEANS_OR_RANDOM
def test_no_pixel_of_an_unseen_class_reaches_training_or_validation(digits_train: ImageDataset, sampling: str) -> None:
    config = TrainConfig(
        dataset="digits", classes=(3,), width=2, epochs=1, sampling=sampling, protocol="seen-unseen", known_classes=2,
        pollution=0.1,
    )  # fmt: skip
    known = torch.tensor([3, *known_anomalies(config.exposure, 3, 10, 0)])
    is_unseen = ~torch.isin(digits_train.labels, known)
    assert len(digits_train.labels[is_unseen].unique()) == 7
    images = digits_train.images.clone()
    images[is_unseen] = 255 - images[is_unseen]
    changed = dataclasses.replace(digits_train, images=images)
    [one], [other] = (train(config, lambda _: None, data=data).history for data in (digits_train, changed))
    one.pop("images_per_second")
    other.pop("images_per_second")
    assert one == other
    images[digits_train.labels == known[1]] //= 2  # and the comparison does see what is known
    [third] = train(config, lambda _: None, data=changed).history
    assert {name for name in one if one[name] != third[name]} >= {"val_auroc_3", "loss_abc_3"}


def test_scores_of_unseen_classes_do_not_move_validation(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(dataset="digits", classes=(0, 3), protocol="seen-unseen", known_classes=2)
    labels = digits_train.labels
    scores = torch.rand(len(labels), 2, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(epoch_end, "by_batch", lambda *_, **__: scores)
    pack, validation = Pack(members_of([config]), 1, strategy="grouped"), (digits_train.images, labels)
    validated = EpochEnd(pack, [], [validation] * 2, None, until=1, on_epoch=print)  # type: ignore[arg-type]
    before = validated._validate()
    assert [tuple(metrics) for metrics, _ in before] == [METRICS, METRICS]
    for member, normal in enumerate(config.classes):
        known = torch.tensor([normal, *known_anomalies(config.exposure, normal, 10, 0)])
        scores[~torch.isin(labels, known), member] = -1.0
    assert validated._validate() == before
    scores[labels == known[1], 1] = -1.0
    after = validated._validate()
    assert after[0] == before[0]
    assert after[1][0]["auroc"] < before[1][0]["auroc"]


@KMEANS_OR_RANDOM
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
def test_a_labelled_share_is_of_distinct_images_repeated_to_fill(
    digits_train: ImageDataset, share: float, sampling: str
) -> None:
    for each in drawn(digits_train, Exposure(labelled_share=share), sampling=sampling, classes=(2, 7)):
        count = len(each.normal)
        distinct, repeats = each.anomalous.unique(return_counts=True)
        assert len(each.anomalous) == count
        # labelled / (labelled + normal) is the share, to the nearest whole image
        assert abs(len(distinct) / (len(distinct) + count) - share) < 1 / count
        assert len(distinct) == round(count * share / (1 - share))
        assert repeats.max() - repeats.min() <= 1


@KMEANS_OR_RANDOM
@pytest.mark.parametrize(
    ("exposure", "stays"), [(Exposure(labelled_share=0.1, pollution=0.1), True), (Exposure(), False)]
)
def test_a_labelled_share_labels_the_same_anomalies_in_every_epoch(
    digits_train: ImageDataset, exposure: Exposure, stays: bool, sampling: str
) -> None:
    draw = one_vs_rest(
        digits_train.images, digits_train.labels, split(digits_train.labels, split_seed=0).fit, sampling=sampling,
        clusters=5, split_seed=0, content_hash=digits_train.content_hash, exposure=exposure,
    )  # fmt: skip
    first, *later = (draw(3, 0, epoch) for epoch in range(4))
    labelled = set(first.anomalous.tolist())
    assert [set(each.anomalous.tolist()) == labelled for each in later] == [stays] * 3
    for each in later:
        assert set(each.normal.tolist()) != set(first.normal.tolist()), "normal images are drawn anew"
        assert not set(each.normal.tolist()) & labelled or not stays


def test_a_labelled_share_takes_one_image_at_least_and_no_more_than_there_are(digits_train: ImageDataset) -> None:
    [one] = drawn(digits_train, Exposure(labelled_share=1e-9), classes=(0,))
    assert len(one.anomalous.unique()) == 1
    half_the_class = Exposure("seen-unseen", 1, pollution=0.5)
    for each in drawn(digits_train, half_the_class):
        assert set(each.anomalous.tolist()).isdisjoint(each.normal.tolist())
        assert len(each.anomalous) == len(each.normal)


@KMEANS_OR_RANDOM
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_pollution_puts_that_many_anomalies_among_the_normal_images_and_labels_none_of_them(
    digits_train: ImageDataset, share: float, sampling: str
) -> None:
    clean = drawn(digits_train, sampling=sampling)
    for each, before in zip(drawn(digits_train, Exposure(pollution=share), sampling=sampling), clean, strict=True):
        polluting = each.normal[digits_train.labels[each.normal] != each.normal_class]
        assert len(polluting) == round(share * len(each.normal)) > 0
        assert len(each.normal.unique()) == len(each.normal) == len(before.normal)
        assert set(each.normal.tolist()) - set(polluting.tolist()) < set(before.normal.tolist())
        assert set(polluting.tolist()).isdisjoint(each.anomalous.tolist())
        assert len(each.anomalous.unique()) == len(each.normal)


def test_pollution_is_drawn_anew_for_each_training_seed(digits_train: ImageDataset) -> None:
    exposure = Exposure("one-class", pollution=0.2)
    polluting = []
    for seed in (0, 0, 1):
        [each] = drawn(digits_train, exposure, classes=(5,), train_seed=seed)
        polluting.append(set(each.normal[digits_train.labels[each.normal] != 5].tolist()))
    assert polluting[0] == polluting[1] != polluting[2]


@KMEANS_OR_RANDOM
def test_one_class_shows_no_anomalies_and_the_same_normal_images(digits_train: ImageDataset, sampling: str) -> None:
    everything = drawn(digits_train, sampling=sampling)
    for each, before in zip(drawn(digits_train, Exposure("one-class"), sampling=sampling), everything, strict=True):
        assert len(each.anomalous) == 0
        assert torch.equal(each.normal, before.normal)


def test_one_class_trains_with_the_four_losses_on_normal_images(digits_train: ImageDataset) -> None:
    config = TrainConfig(dataset="digits", classes=(0, 3), width=2, epochs=1, protocol="one-class")
    result = train(config, lambda _: None, data=digits_train)
    assert result.state == "complete"
    [metrics] = result.history
    named = {
        name.removeprefix("loss_").removesuffix("_0") for name in metrics if name.startswith("loss_") and "_0" in name
    }
    assert named == {"reconstruction", "patch", "latent", "adversarial_normal", "discriminator_normal"}
    assert set(config.losses) == named - {"discriminator_normal"}
    assert {f"val_{metric}_{index}" for metric in METRICS for index in (0, 3, "mean")} < set(metrics)
    assert all(math.isfinite(value) for value in metrics.values())


def test_one_class_never_moves_the_discriminator_of_anomalies(digits_train: ImageDataset) -> None:
    config = TrainConfig(dataset="digits", classes=(3,), width=2, epochs=1, images_per_class=40, protocol="one-class")
    one, two = (train(dataclasses.replace(config, epochs=n), lambda _: None, data=digits_train) for n in (1, 2))
    ours, theirs = one.detector.state_dict(), two.detector.state_dict()
    still = {name for name in ours if torch.equal(ours[name], theirs[name])}
    assert {name for name in ours if name.startswith("discriminator_anomaly")} <= still
    assert not [name for name in still if name.startswith("discriminator_normal") and name.endswith("weight")]


@KMEANS_OR_RANDOM
@pytest.mark.parametrize("exposure", [None, Exposure("paper")])
def test_by_default_the_same_images_are_drawn_as_before_there_was_a_choice(
    digits_train: ImageDataset, exposure: Exposure | None, sampling: str
) -> None:
    fit = split(digits_train.labels, split_seed=0).fit
    own = digits_train.labels[fit]
    groups = cluster(digits_train.images[fit], own, clusters=5, seed=0, name=digits_train.content_hash)
    made = drawn(digits_train, exposure, sampling=sampling, train_seed=4)
    assert len(made) == 10
    for each in made:  # as it was written when all anomaly classes were the only choice
        stream = generator(4, each.normal_class, "sampling")
        places = (own == each.normal_class).nonzero()[:, 0]
        count = min(own.bincount().tolist())
        normal = places[torch.randperm(len(places), generator=stream)[:count]]
        others = [index for index in range(10) if index != each.normal_class]
        if sampling == "kmeans":
            anomalous = draw_by_cluster(own, groups, others, count, stream)
        else:
            anomalous = draw_random(own, others, count, stream)
        assert torch.equal(each.normal, fit[normal])
        assert torch.equal(each.anomalous, fit[anomalous])


#: Settings that do not go together, and how the answer begins.
BAD = {
    "known classes of the paper's protocol": ({"known_classes": 2}, "--known-classes: only --protocol seen-unseen"),
    "known classes of one class": ({"protocol": "one-class", "known_classes": 2}, "--known-classes: only --protocol"),
    "nothing left unseen": ({"protocol": "seen-unseen", "known_classes": 9}, "--known-classes 9: expected at most 8"),
    "nothing known": ({"protocol": "seen-unseen", "known_classes": 0}, "--known-classes 0: expected a whole number"),
    "labels without anomalies": ({"protocol": "one-class", "labelled_share": 0.1}, "--labelled-share: "),
    "labels where none is fitted": (
        {"protocol": "normal-4500", "classes": (0,), "labelled_share": 0.1}, "--labelled-share: --protocol normal-4500",
    ),
    "no labels": ({"labelled_share": 0.0}, "--labelled-share 0.0: expected a finite number > 0"),
    "more labels than normal images": ({"labelled_share": 0.51}, "--labelled-share 0.51: expected"),
    "more than half polluted": ({"pollution": 0.6}, "--pollution 0.6: expected"),
    "pollution below nothing": ({"pollution": -0.1}, "--pollution -0.1: expected a finite number >= 0"),
    "pollution of no number": ({"pollution": math.nan}, "--pollution nan: expected a finite number"),
    "no weight in use": (
        {"protocol": "one-class", **dict.fromkeys([f"weight_{name}" for name in LOSS_WEIGHTS[:4]], 0.0)},
        "all loss weights in use are 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_settings_that_do_not_go_together_are_refused_by_the_flags_name(name: str) -> None:
    settings, start = BAD[name]
    with pytest.raises(UserError) as caught:
        TrainConfig(**settings)  # type: ignore[arg-type]
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)


def test_seen_unseen_knows_one_class_unless_told_otherwise() -> None:
    assert TrainConfig().known_classes is None
    assert TrainConfig(protocol="seen-unseen").known_classes == 1
    config = TrainConfig(protocol="seen-unseen", known_classes=8)
    assert TrainConfig(**dataclasses.asdict(config)) == config
