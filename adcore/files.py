"""Files that are there whole or not at all, whatever is killed and when."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from adcore.errors import UserError

__all__ = ["check_local", "check_writable", "put_in_place", "write_whole"]


def check_local(text: str, flag: str) -> None:
    """Raises UserError, which begins with the flag, for a place in the cloud: it would become a folder named `s3:`."""
    if "://" in text:
        raise UserError(f"{flag} {text!r}: expected a path in a file system; addresses with :// are not supported")


def check_writable(folder: Path, flag: str) -> None:
    """Raises UserError, which begins with the flag, if no file can be written in a folder, or in what it is to be in.

    Nothing is left behind: a later check may still refuse what the folder is for.
    """
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
        if not there.exists():
            target = os.readlink(there)
            raise UserError(f"{flag}: {there} is a link to {target}, which is not there; make that, or remove the link")
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:  # also for a name that is too long
        raise UserError(f"{flag}: cannot be written ({error.strerror})") from error


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
