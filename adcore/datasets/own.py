"""Data of one's own: `folder:PATH`, `csv:FILE`, `npz:FILE` in the place of a data set's name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from adcore.datasets.files import DatasetError
from adcore.datasets.image_dataset import PARTS, DatasetInfo, Part
from adcore.datasets.images import decode_all, has_colour
from adcore.datasets.listing import Listing, facts, in_words
from adcore.datasets.own_csv import list_csv
from adcore.datasets.own_folder import list_folder
from adcore.datasets.own_npz import Arrays, open_npz
from adcore.errors import UserError, unknown_name
from adcore.files import check_local, status_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KINDS", "OwnPart", "canonical", "forget", "is_own", "own_info", "read_own", "remember"]

#: A kind of data and what lists it, without decoding an image.
KINDS: Mapping[str, Callable[[Path], Listing | Arrays]] = MappingProxyType(
    {"folder": list_folder, "csv": list_csv, "npz": open_npz}
)
#: What this process knows of data by name: a worker may be told of data that it cannot reach.
_known: dict[str, DatasetInfo] = {}


@dataclass(frozen=True)
class OwnPart:
    """A part as it was read: images uint8 [n, channels, size, size], labels uint8 [n], notes for the user."""

    info: DatasetInfo
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    notes: tuple[str, ...]


def is_own(name: str) -> bool:
    """Whether a data set's name means data of one's own: a kind and a path with a colon between them."""
    return ":" in name


def canonical(name: str) -> str:
    """The name with an absolute path, which is good in any folder. Raises DatasetError for an unknown kind."""
    kind, _, place = name.partition(":")
    if kind not in KINDS:
        raise DatasetError(str(unknown_name("kind of data", kind, KINDS)))
    if not place:
        raise DatasetError(f"{name!r}: expected a path after the colon")
    try:
        check_local(place, kind)
        return f"{kind}:{os.path.abspath(Path(place).expanduser())}"
    except (RuntimeError, UserError) as error:  # the first: no such home folder
        raise DatasetError(str(error)) from error


def own_info(name: str) -> DatasetInfo:
    """Facts about data by their canonical name; they are listed once in a process, and with each `read_own`."""
    if name not in _known:
        _known[name] = _open(name)[1]
    return _known[name]


def forget() -> None:
    """Forget all facts about data: they may have changed since a process has read them."""
    _known.clear()


def remember(info: DatasetInfo) -> None:
    """Make the facts about data known to this process, which may not reach them; it keeps what it has read itself."""
    if is_own(info.name):
        _known.setdefault(info.name, info)


def read_own(name: str, part: Part, image_size: int) -> OwnPart:
    """A part of data by their canonical name, at most image_size pixels a side; no image of the other is decoded.

    Raises DatasetError for data that cannot be read or have no images in this part.
    """
    import numpy as np

    source, info = _open(name)
    if isinstance(source, Arrays):
        images, problems = source.read(part, image_size), dict[Path, str]()
        labels = [info.class_names.index(label) for label in source.labels[part]]
    else:
        files = [
            (file, label) for label, each in enumerate(info.class_names) for file in source.parts[part].get(each, ())
        ]
        images, read, problems = decode_all([file for file, _ in files], channels=info.channels, size=image_size)
        labels = [files[place][1] for place in read]
    if not labels:
        readable = " that can be read" if problems else ""
        raise DatasetError(f"{name}: the {part} part has no image{readable}{_problems(problems, ': ')}")
    notes = [f"{name}: {note}" for note in source.notes if part == "train"]
    if part == "train" and info.normal_class is None:
        notes.append(
            f"{name}: no single class is called normal: each of its {len(info.class_names)} can be the normal one; "
            "if only one can, call it normal, or choose it"
        )
    if problems:
        total = len(labels) + len(problems)
        left_out = _problems(problems, " cannot be read and are left out: ")
        notes.append(f"{name}: {len(problems)} of {total} files of the {part} part{left_out}")
    info = _known[name] = replace(info, size=images.shape[-1])
    return OwnPart(info, images, np.array(labels, np.uint8), tuple(notes))


def _problems(problems: Mapping[Path, str], begin: str) -> str:
    """The files that cannot be read, after `begin`; empty for none."""
    every = in_words(f"{path} ({reason})" for path, reason in problems.items())
    return f"{begin}{every}" if every else ""


def _open(name: str) -> tuple[Listing | Arrays, DatasetInfo]:
    """List data by their canonical name."""
    kind, _, place = name.partition(":")
    path = Path(place)
    try:
        status = status_of(path, name)
    except UserError as error:
        raise DatasetError(str(error)) from error
    if kind != "folder" and status and not stat.S_ISREG(status.st_mode):  # a device or a pipe is read without end
        raise DatasetError(f"{name}: not a regular file")
    source = KINDS[kind](path)
    if isinstance(source, Arrays):
        return source, facts(name, source.counts(), channels=source.channels)
    counts: dict[Part, dict[str, int]] = {
        part: {each: len(files) for each, files in source.parts[part].items()} for part in PARTS
    }
    # a part is decoded with the channels of the training part, so that both agree
    coloured = any(has_colour(file) for files in source.parts["train"].values() for file in files)
    return source, facts(name, counts, channels=3 if coloured else 1)
