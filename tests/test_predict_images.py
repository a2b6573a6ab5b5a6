"""Image files of every mode as 8-bit pixels, and images of any size as a detector takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adcore.datasets.images import read_image
from adcore.errors import UserError
from adcore.predict.images import find_files, prepared, read_file

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_grey_becomes_colour_and_colour_grey(tmp_path: Path) -> None:
    grey = saved(tmp_path / "grey.png", Image.fromarray(GREY))
    colour = saved(tmp_path / "colour.png", Image.fromarray(COLOUR))
    assert np.array_equal(read_image(grey, 1), GREY)
    assert np.array_equal(read_image(grey, 3), GREY[..., None].repeat(3, 2))
    assert np.array_equal(read_image(colour, 3), COLOUR)
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(colour, 1) - luma).max() <= 1


def test_every_mode_shows_the_same_picture(tmp_path: Path) -> None:
    plain = Image.fromarray(COLOUR)
    opaque = Image.fromarray(np.dstack([COLOUR, np.full_like(GREY, 255)]))
    for path in (
        saved(tmp_path / "palette.png", plain.quantize(256, method=Image.Quantize.FASTOCTREE)),
        saved(tmp_path / "alpha.png", opaque),
        saved(tmp_path / "cmyk.tif", plain.convert("CMYK")),
        saved(tmp_path / "plain.bmp", plain),
    ):
        found = read_image(path, 3)
        assert found.shape == COLOUR.shape, path
        assert np.abs(found.astype(int) - COLOUR).max() <= (40 if "palette" in path.name else 1), path


@pytest.mark.parametrize("name", ["cut.png", "pages.tif", "floats.tif", "other.gif", "folder.png", "missing.png"])
def test_what_is_no_single_image_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    grey, path = Image.fromarray(GREY), tmp_path / name
    if name == "cut.png":
        path.write_bytes(saved(tmp_path / "whole.png", grey).read_bytes()[:-20])
    elif name == "pages.tif":
        saved(path, grey, save_all=True, append_images=[grey])
    elif name == "floats.tif":
        saved(path, Image.fromarray(GREY.astype(np.float32)))
    elif name == "other.gif":
        saved(path, grey)
    elif name == "folder.png":
        path.mkdir()
    with pytest.raises(UserError, match=f"^{path}: .+$"):
        read_image(path, 1)


def test_an_image_of_the_right_size_stays_as_it_is_and_others_are_stretched() -> None:
    right = GREY.repeat(2, 0)[:6]
    assert np.array_equal(prepared(right, 1, 6, "x"), right[None])
    wide = prepared(np.full((10, 40), 200, np.uint8), 1, 20, "x")[0]
    assert wide.shape == (20, 20)
    assert np.array_equal(wide, np.full((20, 20), 200))
    assert prepared(COLOUR, 3, 8, "x").shape == (3, 8, 8)
    assert prepared(np.dstack([COLOUR, GREY]), 1, 8, "x").shape == (1, 8, 8)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (4, 4, 2), (2, 4, 4, 3)])
def test_arrays_that_are_no_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"^x: "):
        prepared(np.zeros(shape, np.uint8), 1, 8, "x")
    with pytest.raises(UserError, match=r"^x: float32 values, expected uint8"):
        prepared(np.zeros((4, 4), np.float32), 1, 8, "x")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_array_of_one_image_is_not_read_as_many(channels: int, tmp_path: Path) -> None:
    one = np.zeros((48, 64, channels), np.uint8)
    np.save(tmp_path / "one.npy", one)
    with pytest.raises(UserError, match=r"looks like one image .*; save it as image\[None\]$"):
        list(read_file(tmp_path / "one.npy", 1, 8))
    np.save(tmp_path / "one.npy", one[None])
    assert len(list(read_file(tmp_path / "one.npy", 1, 8))) == 1
    np.save(tmp_path / "grey.npy", np.zeros((5, channels, channels), np.uint8))
    assert len(list(read_file(tmp_path / "grey.npy", 1, 8))) == 5


def test_a_folder_is_searched_as_in_training(tmp_path: Path) -> None:
    images, linked = tmp_path / "images", tmp_path / "linked"
    for folder in (images / "b", images / ".thumbnails", linked):
        folder.mkdir(parents=True)
    for path in (images / "c.png", images / "._a.jpg", images / "b" / "1.PNG", linked / "2.npy", images / "notes.txt",
                 images / ".thumbnails" / "3.png"):  # fmt: skip
        path.touch()
    (images / "d").symlink_to(linked)
    (linked / "back").symlink_to(images)
    assert find_files([str(images)]) == [images / "b" / "1.PNG", images / "c.png", images / "d" / "2.npy"]
    assert find_files([str(images / "._a.jpg")]) == [images / "._a.jpg"], "it is named"
