"""Decode an image file to 8-bit pixels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from adcore.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["SUFFIXES", "as_pixels", "read_image"]

#: Of the files that are read, in lower case.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
#: The decoders of Pillow that may open a file, whatever its name.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
#: Largest value of a 16-bit pixel over that of an 8-bit one.
SIXTEEN_TO_EIGHT = 257


def read_image(path: Path, channels: int) -> NDArray[np.uint8]:
    """The pixels of a PNG, JPEG, BMP or TIFF file, uint8 [H, W] for one channel, [H, W, 3] for three.

    The orientation in EXIF is applied, palettes are resolved, colours become grey by ITU-R 601 luma or grey becomes
    colour, 16 bits a channel become 8, transparent pixels become black. Raises UserError, one line that names the file,
    if it is missing, cut or of another kind, and for a TIFF file of several pages.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # about metadata
            with Image.open(path, formats=FORMATS) as image:
                if image.format == "TIFF" and (pages := getattr(image, "n_frames", 1)) != 1:
                    raise UserError(f"{path}: {pages} pages, expected one; save them as files of their own")
                return as_pixels(ImageOps.exif_transpose(image), channels)
    except UserError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{path}: not a PNG, JPEG, BMP or TIFF file") from error
    except Exception as error:  # on foreign bytes, a decoder may raise anything
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip()
        raise UserError(f"{path}: cannot be read ({reason or type(error).__name__})") from error


def as_pixels(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    """The pixels of an image of any mode, as from `read_image`. Raises ValueError for floating-point pixels."""
    import numpy as np
    from PIL import Image

    if image.mode == "F":
        raise ValueError("floating-point pixels, expected whole numbers")
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min(initial=0) < 0 or deep.max(initial=0) >= 1 << 16:
            raise ValueError("pixels of more than 16 bits")
        image = Image.fromarray(np.rint(deep / SIXTEEN_TO_EIGHT).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    mode = "L" if channels == 1 else "RGB"
    if image.mode in ("LAB", "HSV", "CMYK", "YCbCr"):  # not all of them convert to grey directly
        image = image.convert("RGB")
    return np.asarray(image.convert(mode))
