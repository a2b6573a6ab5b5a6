"""Atomic writes: a file is complete or absent, whichever process is killed and when."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from adcore.errors import UserError

__all__ = ["check_local", "check_writable", "put_in_place", "write_whole"]


def check_local(text: str, flag: str, remedy: str = "; addresses with :// are not supported") -> None:
    """Raises UserError, starting with the flag, for a cloud address: it would become a folder named `s3:`."""
    if "://" in text:
        raise UserError(f"{flag} {text!r}: expected a path in a file system{remedy}")


def check_writable(folder: Path, flag: str) -> None:
    """Raises UserError, starting with the flag, if a folder, or its nearest existing parent, is not writable.

    The folder is not created: a later check may still refuse the command.
    """
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
        if not there.exists():
            target = os.readlink(there)
            raise UserError(f"{flag}: {there} links to {target}, which does not exist; create it or remove the link")
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:  # also for a name that is too long
        raise UserError(f"{flag}: cannot be written ({error.strerror})") from error


def write_whole(path: Path, text: str) -> Path:
    """Write a text file atomically: the old content stays until the new one is complete. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    put_in_place(part, path)
    return path


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a finished file within its folder; its content and new name are on disk when this returns.

    Raises OSError.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut may undo the renaming
    finally:
        os.close(folder)
