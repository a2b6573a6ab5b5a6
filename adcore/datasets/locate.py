"""The search order for a data set's files, and one error message for all places searched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adcore.datasets.files import (
    Content,
    DatasetError,
    FileSet,
    Progress,
    missing_files,
    read_from_data_folder,
    read_part,
)

__all__ = ["DATA_VARIABLE", "Request", "cache_root", "describe_places", "find_part"]

DATA_VARIABLE = "ADCORE_DATA"


@dataclass(frozen=True)
class Request:
    """The arguments of `load` other than the name."""

    part: str  # "train" or "test"
    data_dir: str | Path | None = None
    allow_unverified: bool = False
    progress: Progress | None = None


def cache_root() -> Path:
    """The user's cache folder for data sets; its sub-folders carry the names of the sets."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("adcore", appauthor=False)) / "datasets"


def find_part(files: FileSet, request: Request) -> list[Content]:
    """Contents of the files of one part: only from the data folder if given, else from cache, system folder or network.

    Raises DatasetError.
    """
    root = request.data_dir or os.environ.get(DATA_VARIABLE)
    if root:
        try:
            folder = Path(root).expanduser()
        except RuntimeError as error:  # no such home folder
            raise DatasetError(f"data folder {str(root)!r}: {error}; name an existing folder") from error
        return read_from_data_folder(files, request.part, folder, allow_unverified=request.allow_unverified)
    from adcore.datasets.fetching import (  # here: half of the time allowed for importing adcore.datasets
        FetchError,
        fill_cache,
    )

    tried: list[str] = []
    cache = cache_root()
    for label, folder in (("cache", cache / files.name), ("system folder", files.system_folder)):
        if folder is not None:
            reason = missing_files(folder, files.parts[request.part])
            try:
                if reason is None:
                    return read_part(files, request.part, folder)
            except DatasetError as error:
                reason = str(error)
            tried.append(f"{label} {folder}: {reason}")
    try:
        return read_part(files, request.part, fill_cache(files, cache, progress=request.progress))
    except FetchError as error:
        raise DatasetError(_nowhere(files, [*tried, *error.tried])) from None


def describe_places(files: FileSet) -> str:
    """Where `find_part` would find every file of the set, without opening any; "not fetched" if nowhere."""
    root = os.environ.get(DATA_VARIABLE)
    if root:
        return f"searched for in {DATA_VARIABLE}={root}"
    folders = [folder for folder in (cache_root() / files.name, files.system_folder) if folder is not None]
    return next((str(folder) for folder in folders if missing_files(folder, files.every_file) is None), "not fetched")


def _nowhere(files: FileSet, tried: Sequence[str]) -> str:
    names = ", ".join(file.name for file in files.every_file)
    ways = [
        f"python -m adcore.datasets fetch {files.name}   (needs a network; --mirror URL uses another address)",
        f"--data-dir DIR or {DATA_VARIABLE}=DIR, where DIR/{files.subfolders[0]} holds {names}",
    ]
    if files.debian_package is not None:
        ways.append(f"apt-get install {files.debian_package}   (as root, on Debian and its derivatives)")
    return "\n  - ".join([f"{files.name} was not found. Tried:", *tried]) + "\n  - ".join(["\nTo get it:", *ways])
