"""Pseudo-anomalies: normal images that are rotated, swapped or stretched take the place of anomalies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from adcore.augment import Augmentation, Resampler, Transform
from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.detector_catalog import ANOMALIES
from adcore.errors import UserError
from adcore.pseudo_anomalies import CHANGES, PseudoAnomalies
from adcore.train import captured, train
from adcore.train.image_streams import data_module
from adcore.train.members import members_of
from adcore.train.pack import STRATEGIES
from tests.detector_runs import config, ignore
from tests.pack_runs import all_alone, assert_as_alone, without_graph

SIDE, SIZE, COUNT = 14, 32, 4000
CPU = torch.device("cpu")
FLIPS = Augmentation(horizontal_flip=True)
TAKES_ANOMALIES = [name for name, use in ANOMALIES.items() if use != "ignored"]


def made(kind: str, augmentation: Augmentation, image: Tensor) -> tuple[Tensor, Tensor]:
    """The image resized, [channels, SIZE, SIZE], and many pseudo-anomalies of it."""
    normal, none = torch.zeros(COUNT, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    pseudo = PseudoAnomalies.of(kind, 0.5, augmentation)
    assert pseudo
    unused = augmentation.draw(0, torch.Generator())
    _, changes = pseudo.mixed_with(none, unused, normal, torch.Generator().manual_seed(1))
    resample = Resampler(SIDE, SIZE, CPU, torch.float64)
    by_member = Transform(*(field[:, None] for field in changes))
    return resample.plain(image), resample(image.expand(COUNT, 1, *image.shape), by_member)[:, 0]


def stretched(image: Tensor, rows: float, columns: float) -> Tensor:
    """torch's own: the image around its middle, [channels, SIZE, SIZE]."""
    matrix = torch.tensor([[[1 / columns, 0, 0], [0, 1 / rows, 0]]], dtype=torch.float64)
    grid = F.affine_grid(matrix, [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0]


def expected(kind: str, image: Tensor) -> list[Tensor]:
    """Every pseudo-anomaly of a kind, by torch's own functions."""
    if kind == "rotate":
        return [image.rot90(quarters, (1, 2)) for quarters in (1, 2, 3)]
    if kind == "swap":
        return [image.roll([SIZE // 2] * len(axes), axes) for axes in ([1], [2], [1, 2])]
    factors = (1.0, 2.0, 1.4, 1 / 1.4, 0.5)
    return [stretched(image, rows, columns) for rows in factors for columns in factors if (rows, columns) != (1, 1)]


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("flips", [False, True])
def test_each_kind_makes_what_torch_makes_all_equally_often_and_never_the_image_itself(kind: str, flips: bool) -> None:
    image = torch.randint(256, (1, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    plain, drawn = made(kind, Augmentation(horizontal_flip=flips), image)
    images = [plain, plain.flip(2)] if flips else [plain]
    ways = torch.stack([way for each in images for way in expected(kind, each)])
    matches = torch.cdist(drawn.flatten(1), ways.flatten(1), p=float("inf")) < 1e-9
    assert (matches.sum(1) == 1).all()
    counts, share = matches.sum(0), COUNT / len(ways)
    assert ((counts - share).abs() < 5 * share**0.5).all(), counts.tolist()


@pytest.mark.parametrize("kind", ["swap", "all"])
def test_where_normal_images_are_rotated_the_made_ones_are_too(kind: str) -> None:
    image = torch.randint(256, (1, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    plain, drawn = made(kind, Augmentation(rotate=True), image)
    swapped = [way for quarters in range(4) for way in expected("swap", plain.rot90(quarters, (1, 2)))]
    is_swapped = torch.cdist(drawn.flatten(1), torch.stack(swapped).flatten(1), p=float("inf")) < 1e-9
    counts = is_swapped.sum(0)
    assert (counts > 0.8 * counts.sum() / 12).all(), counts.tolist()
    assert counts.sum() > 0.45 * COUNT


@pytest.mark.parametrize("share", [0.1, 0.5, 0.75, 1.0])
def test_a_share_of_the_labelled_anomalies_is_replaced_in_every_stretch_of_the_epoch(share: float) -> None:
    normal, anomalous = torch.arange(0, 200), torch.arange(1000, 1200)
    pseudo = PseudoAnomalies.of("all", share, FLIPS)
    assert pseudo
    before = Transform(*(torch.full((200,), -1) for _ in range(2)), torch.ones(200, dtype=torch.bool))
    positions, change = pseudo.mixed_with(anomalous, before, normal, torch.Generator().manual_seed(2))
    is_made = positions < 1000
    for start in range(0, 200, 20):
        assert abs(int(is_made[start : start + 20].sum()) - 20 * share) <= 1
    assert len(positions[is_made].unique()) == int(is_made.sum()), "each normal image once"
    assert torch.equal(positions[~is_made], anomalous[~is_made])
    assert (change.rows[~is_made] == -1).all()
    assert (change.rows[is_made] >= 0).all()


def test_where_no_anomaly_is_labelled_all_are_made_of_the_class_itself(digits_train: ImageDataset) -> None:
    alone = config("gan", classes=(3,), protocol="one-class", pseudo_anomalies="all", pseudo_share=0.1)
    module = data_module(digits_train, members_of([alone]), until=2)
    for epoch in range(2):
        positions, _ = module._draw(epoch)
        normal, made_from = positions.chunk(2, 1)
        assert (digits_train.labels[made_from] == 3).all()
        assert normal.unique().tolist() == made_from.unique().tolist()
    assert not torch.equal(module._draw(0)[1].rows, module._draw(1)[1].rows)


@pytest.mark.parametrize("name", TAKES_ANOMALIES)
@pytest.mark.parametrize("protocol", ["one-class", "seen-unseen"])
def test_members_with_pseudo_anomalies_give_what_they_give_alone(
    name: str, protocol: str, digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "capture", without_graph)
    common: dict[str, Any] = {"protocol": protocol, "pseudo_anomalies": "all", "precision": "64-true"}
    configs = [
        config(name, **common, classes=(3,)),
        config(name, **common, classes=(0, 3), pseudo_share=0.8, vertical_flip=True),
    ]
    alone = all_alone(configs, digits_train)
    for strategy in STRATEGIES:
        rel = 1e-5 if strategy == "captured" else 1e-9
        assert_as_alone(train(configs, ignore, data=digits_train, strategy=strategy), alone, rel)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(UserError, match=f"^--pseudo-share {share}: expected a finite number > 0"):
        TrainConfig(pseudo_anomalies="all", pseudo_share=share)


def test_a_gan_learns_from_them_to_reconstruct_badly(digits_train: ImageDataset) -> None:
    settings = config("gan", classes=(3,), protocol="one-class", pseudo_anomalies="all")
    [*_, last] = train(settings, ignore, data=digits_train).history
    assert {"loss_abc_3", "loss_adversarial_anomaly_3", "loss_discriminator_anomaly_3"} <= last.keys()


def test_what_would_be_ignored_is_refused_and_a_supervised_detector_may_learn_from_them() -> None:
    with pytest.raises(UserError, match=r"^--pseudo-anomalies swap: vae is trained on normal images alone; use none"):
        TrainConfig(detector="vae", pseudo_anomalies="swap")
    with pytest.raises(UserError, match="learns from labelled anomalies"):
        TrainConfig(detector="cnn", protocol="one-class")
    assert TrainConfig(detector="cnn", protocol="one-class", pseudo_anomalies="rotate").trains_on_anomalies


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"protocol": "one-class"}, "without labelled anomalies; validation has some; all anomalies of the training"),
        ({"pseudo_share": 0.25}, "with labelled anomalies of every other class; 25 % of the training's anomalies"),
    ],
)
def test_a_plan_says_what_they_are_made_of(values: dict[str, Any], words: str) -> None:
    text = TrainConfig(pseudo_anomalies="rotate", **values).training_in_words
    assert text == f"{words} are made from normal images (rotate)"


@pytest.mark.parametrize("flags", [{"crop": True}, {"rotate": True}])
def test_augmentations_that_contradict_them_are_refused(flags: dict[str, Any]) -> None:
    [name] = flags
    with pytest.raises(UserError, match=rf"^--{name}: with --pseudo-anomalies rotate"):
        TrainConfig(pseudo_anomalies="rotate", **flags)


def test_no_pseudo_anomaly_is_what_a_normal_image_may_be() -> None:
    assert PseudoAnomalies.of("all", 0.5, Augmentation(rotate=True)) == PseudoAnomalies(
        ("swap", "stretch"), 0.5, Augmentation(rotate=True)
    )
    image = torch.randint(256, (1, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    plain, drawn = made("rotate", Augmentation(horizontal_flip=True, vertical_flip=True), image)
    for flips in ([], [1], [2], [1, 2]):
        assert (drawn - plain.flip(flips)).abs().amax((1, 2, 3)).min() > 0.1
