"""Resizing and augmentation against torch's own flip, rot90 and interpolate."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from adcore.augment import FLIPPED, MAX_CROP, Augmentation, Resampler, Transform

SIDE, SIZE = 11, 32
CPU = torch.device("cpu")


def draw_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def resize(images: Tensor, size: int = SIZE) -> Tensor:
    """torch's own: uint8 [n, channels, h, w] to float64 in [-1, 1]."""
    return F.interpolate(images.double(), size=(size, size), mode="bilinear", align_corners=False) / 127.5 - 1


def augmented(image: Tensor, augmentation: Augmentation, count: int, seed: int = 0) -> Tensor:
    """`count` draws for one image [channels, side, side]: [count, channels, SIZE, SIZE]."""
    transform = augmentation.draw(count, torch.Generator().manual_seed(seed))
    by_member = Transform(transform.rows[:, None], transform.columns[:, None], transform.transpose[:, None])
    resample = Resampler(image.shape[-1], SIZE, CPU, torch.float64)
    return resample(image.expand(count, 1, *image.shape), by_member)[:, 0]


def frequencies(drawn: Tensor, expected: list[Tensor]) -> list[int]:
    """How often each of the expected images was drawn; every drawn one is one of them."""
    distances = torch.cdist(drawn.flatten(1), torch.stack(expected).flatten(1), p=float("inf"))  # [drawn, expected]
    matches = distances < 1e-12
    assert (matches.sum(1) == 1).all(), "an image that is none, or two, of those expected"
    return matches.sum(0).tolist()


def assert_equally_likely(counts: list[int]) -> None:
    total, p = sum(counts), 1 / len(counts)
    spread = (total * p * (1 - p)) ** 0.5  # of a binomial count
    assert all(abs(count - total * p) < 5 * spread for count in counts), counts


def test_every_row_column_and_transposition_equals_torchs_crop_resize_flip_and_rotation() -> None:
    crops = list(itertools.product(range(MAX_CROP + 1), repeat=2))
    axis = [(flip, low, high) for flip in (False, True) for low, high in crops]  # the order of the table
    combinations = list(itertools.product(range(len(axis)), range(len(axis)), (False, True)))
    assert len(combinations) == 18 * 18 * 2
    rows, columns, transpose = (torch.tensor(values)[:, None] for values in zip(*combinations, strict=True))
    rows, columns = (places % len(crops) + places // len(crops) * FLIPPED for places in (rows, columns))
    images = draw_images(len(combinations), 3, SIDE, SIDE)
    output = Resampler(SIDE, SIZE, CPU, torch.float64)(images[:, None], Transform(rows, columns, transpose))[:, 0]
    for image, ours, (row, column, transposed) in zip(images, output, combinations, strict=True):
        flip_rows, top, bottom = axis[row]
        flip_columns, left, right = axis[column]
        if transposed:  # a quarter turn to the left, then mirrored top and bottom
            image = image.rot90(1, (1, 2)).flip(1)
        expected = resize(image[None, :, top : SIDE - bottom, left : SIDE - right])[0]
        dims = [dim for dim, flip in ((1, flip_rows), (2, flip_columns)) if flip]
        torch.testing.assert_close(ours, expected.flip(dims), rtol=0, atol=1e-12)


@pytest.mark.parametrize("source", [8, 28, 32])
def test_plain_resize_equals_torchs_bilinear(source: int) -> None:
    images = draw_images(5, 3, source, source)
    plain = Resampler(source, SIZE, CPU, torch.float64).plain(images)
    torch.testing.assert_close(plain, resize(images), rtol=0, atol=1e-12)


def test_everything_switched_off_is_the_plain_resize() -> None:
    image = draw_images(3, SIDE, SIDE)
    drawn = augmented(image, Augmentation(), 200)
    assert frequencies(drawn, [resize(image[None])[0]]) == [200]


@pytest.mark.parametrize(("name", "dim"), [("horizontal_flip", 2), ("vertical_flip", 1)])
def test_a_flip_alone_mirrors_half_of_the_images_and_does_nothing_else(name: str, dim: int) -> None:
    image = draw_images(3, SIDE, SIDE)
    plain = resize(image[None])[0]
    assert_equally_likely(frequencies(augmented(image, Augmentation(**{name: True}), 2000), [plain, plain.flip(dim)]))


def test_rotation_alone_turns_by_each_quarter_equally_often() -> None:
    image = draw_images(3, SIDE, SIDE)
    turned = [resize(image[None])[0].rot90(quarters, (1, 2)) for quarters in range(4)]
    assert_equally_likely(frequencies(augmented(image, Augmentation(rotate=True), 2000), turned))


def test_flips_and_rotation_make_all_eight_symmetries_of_the_square() -> None:
    image = draw_images(3, SIDE, SIDE)
    plain = resize(image[None])[0]
    symmetries = [turned.rot90(q, (1, 2)) for turned in (plain, plain.flip(2)) for q in range(4)]
    augmentation = Augmentation(horizontal_flip=True, vertical_flip=True, rotate=True)
    assert_equally_likely(frequencies(augmented(image, augmentation, 2000), symmetries))


def test_crop_alone_takes_0_to_2_pixels_from_each_border_by_itself() -> None:
    image = draw_images(3, SIDE, SIDE)
    crops = list(itertools.product(range(3), repeat=4))
    cropped = [resize(image[None, :, t : SIDE - b, le : SIDE - r])[0] for t, b, le, r in crops]
    assert len(cropped) == 81
    assert_equally_likely(frequencies(augmented(image, Augmentation(crop=True), 4000), cropped))


@pytest.mark.parametrize("other", ["vertical_flip", "crop"])
def test_a_switched_off_change_leaves_the_other_draws_as_they_are(other: str) -> None:
    image = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    image[..., : SIDE // 2] = (
        255  # bright on the left: which way round it is can be seen through any crop or vertical flip
    )
    alone = augmented(image, Augmentation(horizontal_flip=True), 64)
    beside = augmented(image, Augmentation(horizontal_flip=True, **{other: True}), 64)
    mirrored, mirrored_too = ((drawn[..., -1] > drawn[..., 0]).all((1, 2)) for drawn in (alone, beside))
    assert 0 < mirrored.sum() < 64
    assert torch.equal(mirrored_too, mirrored)


def test_draws_are_made_for_each_image_by_itself_and_repeat_with_the_seed() -> None:
    augmentation = Augmentation(True, True, True, True)
    first, again, other = (augmentation.draw(500, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert len(set(zip(first.rows.tolist(), first.columns.tolist(), first.transpose.tolist(), strict=True))) > 300
    for field in ("rows", "columns", "transpose"):
        assert torch.equal(getattr(first, field), getattr(again, field))
        assert not torch.equal(getattr(first, field), getattr(other, field))


def test_members_are_changed_each_in_their_own_way() -> None:
    transform = Transform(torch.tensor([[0, FLIPPED]]), torch.tensor([[0, 0]]), torch.tensor([[False, False]]))
    image = draw_images(1, 1, 1, SIDE, SIDE)
    output = Resampler(SIDE, SIZE, CPU, torch.float64)(image.expand(1, 2, 1, SIDE, SIDE), transform)
    assert output.shape == (1, 2, 1, SIZE, SIZE)
    torch.testing.assert_close(output[:, 1], output[:, 0].flip(-2), rtol=0, atol=1e-12)
    assert not torch.equal(output[:, 1], output[:, 0])


def test_pixels_fill_the_range_from_minus_1_to_1() -> None:
    image = draw_images(3, SIDE, SIDE) // 128 * 255  # 0 and 255 alone
    drawn = augmented(image, Augmentation(True, True, True, True), 300)
    assert drawn.min().item() == pytest.approx(-1, abs=1e-12)
    assert drawn.max().item() == pytest.approx(1, abs=1e-12)
    assert Resampler(SIDE, SIZE, CPU).plain(image).dtype == torch.float32
