"""What is at a path; atomic writes: a file is complete or absent, whichever process is killed and when."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from adcore.errors import UserError

__all__ = ["check_local", "check_writable", "is_folder", "put_in_place", "status_of", "write_whole"]


def check_local(text: str, flag: str, remedy: str = "; addresses with :// are not supported") -> None:
    """Raises UserError, starting with the flag, for a cloud address: it would become a folder named `s3:`."""
    if "://" in text:
        raise UserError(f"{flag} {text!r}: expected a path in a file system{remedy}")


def status_of(path: Path, named: str) -> os.stat_result | None:
    """What the system knows of a file or folder; None if there is none.

    Raises UserError, starting with `named`, for a path that cannot be looked at: its name is too long, or a folder
    above it may not be entered.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{named}: cannot be opened ({error.strerror})") from error
    except ValueError:  # no name has a null character
        return None


def is_folder(path: Path, named: str) -> bool:
    """Whether there is a folder. Raises UserError like `status_of`."""
    found = status_of(path, named)
    return found is not None and stat.S_ISDIR(found.st_mode)


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
    """Write a text file in UTF-8, atomically: the old content stays until the new one is complete. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
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
