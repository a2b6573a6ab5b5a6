"""Image files of any size, mode and orientation as uint8 pixels of one size, each on its own (Pillow)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adcore.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["SUFFIXES", "as_pixels", "decode_all", "has_colour", "read_image", "resized"]

#: Names of image files end in one of these, in upper or lower case.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
#: Pillow's decoders that a file is given to, whatever its name: no others, some of which run programs.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
#: The most pixels of an image: beyond it a small file could take gigabytes of memory.
MOST_PIXELS = 2**27
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
#: How Pillow calls the bytes of 16-bit grey pixels with transparency, which it opens as colours (RGBA).
DEEP_GREY = "LA;16B"
WHITE = (255, 255, 255, 255)


def has_colour(path: Path) -> bool:
    """Whether a file's header says that it has colours; False if it cannot be read, which decoding will report."""
    import numpy as np

    try:
        with _opened(path) as image:
            if image.mode in ("P", "PA"):
                used = image.convert("RGB").getcolors(256) or []
                return any(len(set(np.atleast_1d(colour).tolist())) > 1 for _, colour in used)
            if any(tile[3] == DEEP_GREY for tile in getattr(image, "tile", ())):
                return False
            return image.mode not in GREY_MODES and not image.mode.startswith("I;16")
    except Exception:  # on foreign bytes a decoder may raise anything
        return False


def decode_all(
    files: Sequence[Path], *, channels: int, size: int
) -> tuple[NDArray[np.uint8], list[int], dict[Path, str]]:
    """Decode files; each image's pixels depend on its own file alone.

    Each is read as by `read_image`, then stretched to size x size, averaged if it shrinks. Returns images, uint8
    [n, channels, size, size], the positions in `files` of those, and why each of the others cannot be read.
    """
    import numpy as np

    images = np.empty((len(files), channels, size, size), np.uint8)
    read: list[int] = []
    problems: dict[Path, str] = {}
    for place, path in enumerate(files):
        outcome = _attempt(lambda path=path: _decode(path, channels, size))
        if isinstance(outcome, str):
            problems[path] = outcome
        else:
            images[len(read)] = outcome
            read.append(place)
    return images[: len(read)], read, problems


def read_image(path: Path, channels: int) -> NDArray[np.uint8]:
    """The pixels of a PNG, JPEG, BMP or TIFF file, uint8 [H, W] for one channel, [H, W, 3] for three.

    The orientation in EXIF is applied, palettes are resolved, colours become grey by ITU-R 601 luma or grey becomes
    colour, 16 bits a channel become 8, transparent pixels are laid on white. Raises UserError, one line that names the
    file, if it is missing, cut or of another kind, and for a TIFF file of several pages.
    """
    outcome = _attempt(lambda: _pixels(path, channels))
    if isinstance(outcome, str):
        raise UserError(f"{path}: {outcome}")
    return outcome


def as_pixels(image: Image, channels: int) -> NDArray[np.uint8]:
    """The pixels of an image of any mode, as from `read_image`. Raises OSError for those whose range is not known."""
    import numpy as np

    plain = _in_bytes(image)
    if plain.mode in ("LAB", "HSV", "CMYK", "YCbCr"):  # not all of them convert to grey directly
        plain = plain.convert("RGB")
    return np.asarray(plain.convert("L" if channels == 1 else "RGB"))


def resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images [n, channels, height, width] stretched to [n, channels, size, size], averaged if they shrink."""
    import numpy as np
    from PIL import Image

    planes = images.reshape(-1, *images.shape[2:])
    to = (size, size), Image.Resampling.BILINEAR
    stretched = np.stack([np.asarray(Image.fromarray(plane).resize(*to)) for plane in planes])
    return stretched.reshape(*images.shape[:2], size, size)


def _attempt(function: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8] | str:
    """What the function returns, or in words why it failed."""
    try:
        return function()
    except Exception as error:  # on foreign bytes a decoder may raise anything
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        return "not a PNG, JPEG, BMP or TIFF image" if "cannot identify" in reason else reason or type(error).__name__


@contextmanager
def _opened(path: Path) -> Generator[Image]:
    from PIL import Image

    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError("not a regular file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have our own limit
        warnings.simplefilter("ignore", UserWarning)  # on metadata, which we do not use
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise OSError(f"{image.width} x {image.height} pixels, more than {MOST_PIXELS}")
            yield image


def _decode(path: Path, channels: int, size: int) -> NDArray[np.uint8]:
    """The pixels of one file, [channels, size, size]."""
    import numpy as np
    from PIL import Image

    plain = Image.fromarray(_pixels(path, channels)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(plain).reshape(size, size, channels).transpose(2, 0, 1)


def _pixels(path: Path, channels: int) -> NDArray[np.uint8]:
    from PIL import ImageOps

    with _opened(path) as image:
        if image.format == "TIFF" and (pages := getattr(image, "n_frames", 1)) != 1:
            raise OSError(f"{pages} pages, expected one; save them as files of their own")
        return as_pixels(ImageOps.exif_transpose(image), channels)


def _in_bytes(image: Image) -> Image:
    """The same image with 8 bits a channel and without transparency."""
    import numpy as np
    from PIL import Image

    pixels: Any
    if image.mode.startswith("I;16"):
        pixels = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((pixels + 128) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise OSError("pixels of 32 bits, whose range is not known; convert it to 8 or 16 bits")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", coloured.size, WHITE), coloured)
    return image
