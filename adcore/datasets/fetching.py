"""Fill the user's cache with the files of a data set, from the first source that works.

Under a lock, files are fetched into a staging folder inside the cache, verified there and only then renamed: a file
with its final name is complete, however many processes fetch and whenever one is killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from adcore.datasets.files import DataFile, DatasetError, FileSet, Progress, find_file, read_verified
from adcore.datasets.sources import FAILURES, from_archive, from_debian, from_mirror

__all__ = ["FetchError", "fill_cache"]

LOCK_SECONDS = 1800  # longer than any fetch that still progresses
STAGING = ".fetch-"

Source = Callable[[Path, Progress], None]  # puts verified files into the folder


class FetchError(DatasetError):
    """No source worked; `tried` has one line for each: the source and what went wrong."""

    def __init__(self, name: str, tried: Sequence[str]) -> None:
        super().__init__("\n  - ".join([f"{name} could not be fetched:", *tried]))
        self.tried = tuple(tried)


def fill_cache(
    files: FileSet, cache: Path, *, mirrors: Sequence[str] | None = None, progress: Progress | None = None
) -> Path:
    """Make CACHE/NAME hold every file of the set, complete and verified; returns that folder.

    Correct files in the folder are kept; wrong ones are fetched again and replaced.
    mirrors: addresses to try instead of the set's own and the Debian package.
    Raises FetchError with the failure of each source, or if the cache folder cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = cache / files.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=LOCK_SECONDS):
            _fill(files, folder, mirrors, progress or _silent)
    except Timeout:
        raise FetchError(files.name, [f"{folder}: another process has held .lock for {LOCK_SECONDS} s"]) from None
    except OSError as error:
        raise FetchError(files.name, [f"{folder}: cannot be written ({error.strerror or error})"]) from None
    return folder


def _silent(what: str, done: int, total: int | None) -> None:
    pass


def _fill(files: FileSet, folder: Path, mirrors: Sequence[str] | None, progress: Progress) -> None:
    for left_over in folder.glob(f"{STAGING}*"):  # of a killed process: we hold the lock, so nobody uses it
        shutil.rmtree(left_over, ignore_errors=True)
    missing = [file for file in files.every_file if not _is_right(folder, file)]
    if not missing:
        return
    tried: list[str] = []
    for label, source in _sources(files, missing, mirrors):
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=folder, ignore_cleanup_errors=True) as staging:
            try:
                source(Path(staging), progress)
            except FAILURES as error:
                tried.append(f"{label}: {error}")
                continue
            _put_in_place(Path(staging), folder, missing)
            return
    raise FetchError(files.name, tried)


def _put_in_place(staging: Path, folder: Path, missing: Sequence[DataFile]) -> None:
    """Move the fetched files into the cache; wrong files are removed only now, when they are replaced."""
    wrong = [path for file in missing if (path := find_file(folder, file))]
    fetched = {path.name for path in staging.iterdir()}
    for name in fetched:
        os.replace(staging / name, folder / name)
    for path in wrong:
        if path.name not in fetched:  # only one of the two is gzipped
            path.unlink()


def _is_right(folder: Path, file: DataFile) -> bool:
    path = find_file(folder, file)
    if path is None:
        return False
    try:
        read_verified(path, file)
    except DatasetError:
        return False
    return True


def _sources(
    files: FileSet, missing: Sequence[DataFile], mirrors: Sequence[str] | None
) -> Iterator[tuple[str, Source]]:
    for mirror in files.mirrors() if mirrors is None else mirrors:
        address = mirror.rstrip("/") + "/"
        if files.archive is None:
            yield "mirror", partial(from_mirror, address, missing)
        else:
            yield "mirror", partial(from_archive, address, files.archive, files.every_file)
    if mirrors is None and files.debian_package is not None and files.system_folder is not None:
        source = partial(from_debian, files.debian_package, files.system_folder, missing)
        yield f"Debian package {files.debian_package}", source
