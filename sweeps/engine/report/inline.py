"""Figures and pictures as parts of an HTML page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["data_uri", "inline_svg"]

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
#: Colours of an embedded picture: a figure needs few, and its file is a quarter as large.
COLOURS = 64


def inline_svg(figure: Figure, name: str, label: str) -> Markup:
    """A figure as an svg element. name: unique on the page, for the ids within; label: what it shows, in words."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    for parent in [root, *root.iter(f"{{{SVG}}}defs")]:
        for child in [element for element in parent if element.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style")]:
            parent.remove(child)  # such a style would count for the whole page
    for element in root.iter():
        _rename_ids(element, name)
    root.attrib |= {"role": "img", "aria-label": label, "style": "stroke-linejoin: round; stroke-linecap: butt"}
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def data_uri(path: Path) -> str:
    """A PNG file as the address of an image, in few colours. Raises OSError if it cannot be read as an image."""
    file = io.BytesIO()
    with Image.open(path, formats=["PNG"]) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _rename_ids(element: ElementTree.Element, name: str) -> None:
    """Begin an element's id, and its references to others, with a name: another figure has the same ids."""
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == f"{{{XLINK}}}href" and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
