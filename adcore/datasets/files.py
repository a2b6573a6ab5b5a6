"""Data files on disk: which files a data set has, which folder holds them, and whether they are the published ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adcore.errors import UserError

__all__ = [
    "MANIFEST",
    "Content",
    "DataFile",
    "DatasetError",
    "FileSet",
    "Progress",
    "find_file",
    "missing_files",
    "read_from_data_folder",
    "read_part",
    "read_verified",
]

MANIFEST = "SHA256SUMS"  # in the format of sha256sum; written beside files that have no published checksum of their own


#: Called while fetching with the current activity, bytes so far and total bytes (None: unknown).
Progress = Callable[[str, int, int | None], None]


class DatasetError(UserError):
    """A data set is not available; the message names the file, place or value at fault."""


class UnverifiedError(DatasetError):
    """A file can be read, but is not the published one."""


@dataclass(frozen=True)
class DataFile:
    """One file, described by its decompressed content."""

    name: str  # decompressed, without ".gz"
    size: int  # bytes
    sha256: str | None  # None: no published checksum, the manifest beside the file has one


@dataclass(frozen=True)
class FileSet:
    """The files of one data set and the places they come from."""

    name: str
    parts: Mapping[str, tuple[DataFile, ...]]  # "train" and "test"
    mirrors: Callable[[], Sequence[str]]  # called late: only fetching needs torchvision
    subfolders: tuple[str, ...]  # of a data folder, in search order
    archive: DataFile | None = None  # the mirrors hold this tar.gz instead of the single files
    debian_package: str | None = None
    system_folder: Path | None = None  # where the Debian package puts its files

    @property
    def every_file(self) -> tuple[DataFile, ...]:
        return tuple(file for part in self.parts.values() for file in part)


@dataclass(frozen=True)
class Content:
    """Decompressed content of one file."""

    path: Path
    data: bytes


def find_file(folder: Path, file: DataFile) -> Path | None:
    """Path of `file` in `folder`, decompressed or gzipped; None if neither exists."""
    candidates = (folder / file.name, folder / f"{file.name}.gz")
    return next((path for path in candidates if os.path.isfile(path)), None)


def missing_files(folder: Path, files: Sequence[DataFile]) -> str | None:
    """Why `folder` cannot provide `files`, in words; None if all of them exist (they are not opened)."""
    if not os.path.isdir(folder):
        return "no such folder"
    missing = [file.name for file in files if find_file(folder, file) is None]
    return f"{', '.join(missing)} (or .gz) missing" if missing else None


def _reference_sha256(folder: Path, file: DataFile) -> str | None:
    """The checksum `file` must have: the published one, else the one in the manifest of `folder`, else None."""
    if file.sha256 is not None:
        return file.sha256
    try:
        lines = (folder / MANIFEST).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    return next((line[:64] for line in lines if line[64:].lstrip(" *") == file.name), None)


def read_verified(path: Path, file: DataFile, *, label: str | None = None, allow_unverified: bool = False) -> bytes:
    """Decompressed content of `path`, checked against the checksum of `file`.

    label: the file's name in errors (default: its path).
    allow_unverified: also accept a readable file with other content, if it is not larger.

    Raises DatasetError, one line starting with the label, for a file that is unreadable, truncated, too large or wrong.
    """
    label = label or str(path)
    data = _decompressed(path, label, file.size)
    if allow_unverified:
        return data
    expected = _reference_sha256(path.parent, file)
    if expected is None:
        raise UnverifiedError(f"{label}: cannot be verified, no {MANIFEST} beside it lists {file.name}; not used")
    if len(data) < file.size:
        raise UnverifiedError(f"{label}: cut short, {len(data)} bytes instead of {file.size}; not used")
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != expected:
        sums = f"SHA-256 {sha256[:12]}... instead of {expected[:12]}..."
        raise UnverifiedError(f"{label}: not the published {file.name}, {sums}; not used")
    return data


def _decompressed(path: Path, label: str, size: int) -> bytes:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as stream:
            data = stream.read(size + 1)  # never more: a few kB of gzip can hold gigabytes
    except EOFError:
        raise DatasetError(f"{label}: cut short, the gzip stream is incomplete; not used") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{label}: damaged or not gzip ({error}); not used") from None
    except OSError as error:
        raise DatasetError(f"{label}: cannot be read ({error.strerror or error})") from None
    if len(data) > size:
        raise DatasetError(f"{label}: larger than the {size} bytes expected; not used")
    return data


def read_part(files: FileSet, part: str, folder: Path, *, allow_unverified: bool = False) -> list[Content]:
    """Contents of the files of `part` in `folder`, in the order of `files`; opens no other file except the manifest.

    Raises DatasetError if one is missing or wrong.
    """
    contents: list[Content] = []
    for file in files.parts[part]:
        path = find_file(folder, file)
        if path is None:
            raise DatasetError(f"{folder}: {file.name} (or .gz) missing")
        contents.append(Content(path, read_verified(path, file, allow_unverified=allow_unverified)))
    return contents


def read_from_data_folder(files: FileSet, part: str, root: Path, *, allow_unverified: bool = False) -> list[Content]:
    """Contents of `part` from the user's own folder: ROOT/NAME/file, else ROOT/file.

    Raises DatasetError if the folder lacks a file or holds a wrong one; nothing in it is changed.
    """
    if not os.path.isdir(root):
        raise DatasetError(f"data folder '{root}': no such folder")
    folders = [root / subfolder for subfolder in files.subfolders] + [root]
    for folder in folders:
        if missing_files(folder, files.parts[part]) is None:
            break
    else:
        names = ", ".join(file.name for file in files.parts[part])
        places = " nor ".join(str(folder) for folder in folders)
        raise DatasetError(f"{files.name}: neither {places} holds {names} (or .gz); no other place is searched")
    try:
        return read_part(files, part, folder, allow_unverified=allow_unverified)
    except UnverifiedError as error:
        raise UnverifiedError(
            f"{error} (to use a file of your own: --allow-unverified-data, or allow_unverified=True)"
        ) from None
