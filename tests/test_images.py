"""Image files become pixels of one size: each mode, orientation and suffix sensibly, and each on its own."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adcore.datasets.images import decode_all, has_colour, resized

SIDE = 16


def pixels_of(path: Path, channels: int = 1, size: int = SIDE) -> np.ndarray:
    images, read, problems = decode_all([path], channels=channels, size=size)
    assert (read, problems) == ([0], {})
    return images[0]


def test_a_photograph_is_turned_as_its_exif_data_say(tmp_path: Path) -> None:
    upright = np.zeros((SIDE, SIDE), np.uint8)
    upright[:4] = 255  # bright at the top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(pixels_of(tmp_path / "a.png")[0], upright)


def test_a_palette_gives_its_colours_and_counts_as_colour_only_if_it_has_some(tmp_path: Path) -> None:
    indices = Image.new("P", (SIDE, SIDE), 1)
    indices.putpalette([0, 0, 0, 200, 10, 20])
    indices.save(tmp_path / "red.png")
    assert has_colour(tmp_path / "red.png")
    assert pixels_of(tmp_path / "red.png", channels=3)[:, 0, 0].tolist() == [200, 10, 20]
    indices.putpalette([0, 0, 0, 90, 90, 90])
    indices.save(tmp_path / "grey.png")
    assert not has_colour(tmp_path / "grey.png")
    assert pixels_of(tmp_path / "grey.png")[0, 0, 0] == 90


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_their_order_of_brightness(tmp_path: Path, suffix: str) -> None:
    values = np.array([0, 257, 25700, 65535], np.uint16).repeat(4)[None].repeat(SIDE, 0)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    assert not has_colour(tmp_path / f"deep.{suffix}")
    assert pixels_of(tmp_path / f"deep.{suffix}")[0, 0, ::4].tolist() == [0, 1, 100, 255]


def test_sixteen_bits_of_grey_with_transparency_have_no_colour(tmp_path: Path) -> None:
    # as a PNG file says it, which Pillow does not write: 16 bits, colour type 4, rows that begin with filter 0
    rows = np.zeros((2, 1 + 2 * 4), np.uint8)
    rows[:, 1:] = [200, 0, 255, 255, 7, 0, 0, 0]  # grey 200 and opaque; grey 7 and transparent
    header = struct.pack(">IIBBBBB", 2, 2, 16, 4, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    assert not has_colour(tmp_path / "a.png")
    assert pixels_of(tmp_path / "a.png", size=2)[0].tolist() == [[200, 255], [200, 255]]
    Image.new("RGBA", (2, 2), (9, 8, 7, 255)).save(tmp_path / "colour.png")
    assert has_colour(tmp_path / "colour.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_lie_on_white_whatever_colour_they_hide(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (SIDE, SIDE), (7,) * (len(mode) - 1) + (0,))
    image.putpixel((0, 0), (7,) * (len(mode) - 1) + (255,))
    image.save(tmp_path / "a.png")
    assert pixels_of(tmp_path / "a.png")[0, 0, :2].tolist() == [7, 255]


def test_pixels_of_unknown_range_and_foreign_bytes_are_reported_by_file(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").touch()
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:-900])
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    files = [tmp_path / f"{name}.{'tif' if name == 'float' else 'png'}" for name in
             ("whole", "float", "text", "empty", "cut", "link")]  # fmt: skip
    images, read, problems = decode_all(files, channels=1, size=8)
    assert (len(images), read) == (1, [0])
    assert list(problems) == files[1:]
    assert "32 bits" in problems[files[1]]
    assert problems[files[2]] == problems[files[3]] == "not a PNG, JPEG, BMP or TIFF image"
    assert problems[files[5]] == "No such file or directory"


def test_a_program_in_an_image_file_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "postscript.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    assert "not a PNG" in decode_all([path], channels=1, size=8)[2][path]


def test_any_size_and_aspect_is_stretched_and_averaged(tmp_path: Path) -> None:
    wide = np.zeros((10, 400), np.uint8)
    wide[:, ::2] = 200
    Image.fromarray(wide).save(tmp_path / "wide.bmp")
    assert abs(pixels_of(tmp_path / "wide.bmp").astype(int) - 100).max() <= 4  # not every 25th column alone
    assert np.array_equal(resized(wide[None, None], SIDE)[0], pixels_of(tmp_path / "wide.bmp"))


def test_an_image_does_not_depend_on_the_others(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        Image.effect_noise((20 + number, 30), 60).save(file)
    together = decode_all(files, channels=1, size=SIDE)[0]
    for image, file in zip(together, files, strict=True):
        assert np.array_equal(image, pixels_of(file))
