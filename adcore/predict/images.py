"""Images to score: found in files, folders and NumPy arrays, and fitted to what a detector was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adcore.datasets.images import SUFFIXES, as_pixels, read_image
from adcore.datasets.listing import files_below
from adcore.errors import UserError
from adcore.files import is_folder, status_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ARRAYS", "find_files", "fitted", "prepared", "read_file"]

#: Suffixes of NumPy's files, in lower case.
ARRAYS = (".npy", ".npz")
#: The array of a .npz file that is read if it holds several.
ARRAY_NAME = "images"
#: Sizes of the last axis of an image with channels: grey, colours, colours and transparency.
CHANNELS = (1, 3, 4)


def find_files(places: Sequence[str]) -> list[Path]:
    """The files to read: those named, and each folder's images and arrays, of any depth, in the order of their names.

    Hidden ones are not among them, unless they are named; links are followed, as in training.

    Raises UserError for a place that does not exist, for a folder that cannot be read or holds no image.
    """
    paths: list[Path] = []
    for place in map(Path, places):
        if is_folder(place, repr(str(place))):
            paths += _files_of(place)
        elif status_of(place, repr(str(place))):
            paths.append(place)
        else:
            raise UserError(f"{str(place)!r}: no such file or folder; name images, .npy or .npz files, or folders")
    return paths


def read_file(path: Path, channels: int, side: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The name and pixels of each image in a file, uint8 [channels, side, side]; those of an array are numbered from 0.

    Raises UserError, one line that names the file, if it cannot be read.
    """
    if path.suffix.lower() not in ARRAYS:
        yield str(path), prepared(read_image(path, channels), channels, side, str(path))
        return
    for number, pixels in enumerate(_array(path)):
        name = f"{path}[{number}]"
        yield name, prepared(pixels, channels, side, name)


def prepared(pixels: NDArray[np.uint8], channels: int, side: int, name: str) -> NDArray[np.uint8]:
    """An image [H, W] or [H, W, 1, 3 or 4] as a detector takes it: [channels, side, side].

    Raises UserError, starting with the name, for other shapes and for other types than uint8.
    """
    import numpy as np
    from PIL import Image

    if pixels.dtype != np.uint8:
        raise UserError(f"{name}: {pixels.dtype} values, expected uint8, 0 to 255")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if not pixels.size or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in CHANNELS):
        raise UserError(f"{name}: shape {pixels.shape}, expected (H, W) or (H, W, C) with C = 1, 3 or 4")
    if pixels.ndim != (2 if channels == 1 else 3) or pixels.shape[2:] == (4,):
        pixels = as_pixels(Image.fromarray(pixels), channels)
    fit = fitted(pixels, side)
    return fit[None] if channels == 1 else np.moveaxis(fit, 2, 0)


def fitted(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image [H, W] or [H, W, 3] with `side` pixels a side, the size that the detector's data set has.

    One of that size stays as it is. Others are stretched, averaged if they shrink, as in training.
    """
    import numpy as np
    from PIL import Image

    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def _files_of(folder: Path) -> list[Path]:
    try:
        paths = [path for path in files_below(folder) if path.suffix.lower() in (*SUFFIXES, *ARRAYS)]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error
    if not paths:
        raise UserError(f"{str(folder)!r}: no image in this folder, expected {', '.join((*SUFFIXES, *ARRAYS))} files")
    return paths


def _array(path: Path) -> NDArray[np.uint8]:
    """The array of images in a file, mapped if that is possible. No object in it is unpickled."""
    import numpy as np

    try:
        stored: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if hasattr(stored, "files"):  # .npz
            with stored:
                stored = _only(path, stored)
        stored = np.asanyarray(stored)  # a member of .npz that is no array is read as bytes
    except UserError:
        raise
    except Exception as error:  # on foreign bytes, NumPy and zipfile may raise anything
        raise UserError(f"{path}: cannot be read ({str(error).strip() or type(error).__name__})") from error
    if stored.ndim not in (3, 4) or not len(stored) or stored.dtype != np.uint8:
        raise UserError(f"{path}: {stored.dtype} {stored.shape}, expected uint8 (N, H, W) or (N, H, W, C)")
    if stored.ndim == 3 and stored.shape[2] in CHANNELS and stored.shape[1] != stored.shape[2]:
        raise UserError(
            f"{path}: {stored.shape} looks like one image (H, W, C), expected several; save it as image[None]"
        )
    return stored


def _only(path: Path, arrays: Any) -> NDArray[np.uint8]:
    names = list(arrays.files)
    if ARRAY_NAME not in names and len(names) != 1:
        raise UserError(f"{path}: arrays {', '.join(names) or 'missing'}, expected one, or one named {ARRAY_NAME}")
    return arrays[ARRAY_NAME if ARRAY_NAME in names else names[0]]
