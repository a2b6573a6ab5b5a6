"""Files that are there whole or not at all, whatever is killed and when."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["put_in_place", "write_whole"]


def write_whole(path: Path, text: str) -> Path:
    """Write a text file under another name first: what was there stays until the new one is whole. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    put_in_place(part, path)
    return path


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a finished file to its name, in the same folder; both are on the disk when this returns.

    Raises OSError.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut may take the new name back
    finally:
        os.close(folder)
