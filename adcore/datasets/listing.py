"""Lists of image files with their classes: which class is normal, which files are the test part, what is left out."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from adcore.datasets.files import DatasetError
from adcore.datasets.image_dataset import DatasetInfo, Part

__all__ = ["Listing", "class_name", "each_once", "facts", "files_below", "identity", "in_words", "split_by_name"]

#: The name of the class that is the normal one, in any case, and one that no normal class has.
NORMAL, ANOMALY = "normal", "anomaly"
#: Share of each class that becomes the test part where the data have none.
TEST_SHARE = 1 / 6
#: A label is stored in a byte.
MOST_CLASSES = 256
#: Names of files that a message gives before it only counts them.
MOST_NAMED = 5
#: Names of classes that are numbers, if all are.
NUMBER = re.compile(r"-?[0-9]{1,18}")

#: Files of each class.
Classes = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Listing:
    """The image files of a data set, by part and class. notes: what was left out or decided, a line each."""

    parts: Mapping[Part, Classes]
    notes: tuple[str, ...] = ()


def facts(name: str, counts: Mapping[Part, Mapping[str, int]], *, channels: int) -> DatasetInfo:
    """What is known of a data set of one's own from the number of images of each class, by part.

    Classes are in the order of their names, of their values if all are numbers. There is one normal class, which comes
    first, if a class is called `normal`, or if the training part has images of one class only. Raises DatasetError if
    there are no training images, or too many classes.
    """
    train = {title: count for title, count in counts["train"].items() if count}
    if not train:
        raise DatasetError(f"{name}: no images to train on")
    class_names = _ordered({*train, *(title for title, count in counts["test"].items() if count)})
    normal = next(iter(train)) if len(train) == 1 else _called_normal(train)
    if normal is not None and normal.lower() == ANOMALY:
        raise DatasetError(f"{name}: images of class {ANOMALY!r} only, expected some of {NORMAL!r}")
    if normal is not None:
        class_names.remove(normal)
        class_names.insert(0, normal)
    if len(class_names) > MOST_CLASSES:
        raise DatasetError(f"{name}: {len(class_names)} classes, expected at most {MOST_CLASSES}")
    smallest = min(train.values()) if normal is None else train[normal]
    return DatasetInfo(
        name, tuple(class_names), channels, 32, None, round(smallest * 5 / 6),
        normal_class=None if normal is None else 0, has_anomalies=len(train) > 1,
    )  # fmt: skip


def each_once(classes: Classes, notes: list[str], *, except_for: Iterable[Path] = ()) -> dict[str, list[Path]]:
    """The classes with each file once, by whatever links it is reached, and without those of another part.

    notes: gets a line on what is left out. except_for: the files of the test part. Raises DatasetError for a file that
    is in two classes.
    """
    elsewhere = {identity(file) for file in except_for if os.path.exists(file)}
    found: dict[str, list[Path]] = {}
    first: dict[tuple[int, int], tuple[str, Path]] = {}
    repeats: list[Path] = []
    tested: list[Path] = []
    for name, files in classes.items():
        for file in files:
            known = identity(file) if os.path.exists(file) else None  # a link to nothing is found when it is read
            if known in elsewhere:
                tested.append(file)
                continue
            before, same = first.setdefault(known, (name, file)) if known else (name, file)
            if before != name:
                raise DatasetError(f"{file} and {same} are one file, in two classes; remove one of them")
            if same == file:
                found.setdefault(name, []).append(file)
            else:
                repeats.append(file)
    if repeats:
        notes.append(f"left out, as links to files that are there already: {in_words(repeats)}")
    if tested:
        notes.append(f"left out of the training part, as they are files of the test part: {in_words(tested)}")
    return found


def split_by_name(classes: Classes, root: Path) -> dict[Part, Classes]:
    """Set a sixth of each class apart as the test part, at least one image.

    It depends on nothing but the files' places relative to root, and a new file moves few others. Raises DatasetError
    for a class of one image, which would leave the training part, except for the only one beside a class `normal`.
    """
    normal = _called_normal(classes)
    allowed = set(classes) - {normal} if normal is not None and len(classes) == 2 else set[str]()
    single = next((name for name, files in classes.items() if len(files) == 1 and name not in allowed), None)
    if single is not None:
        raise DatasetError(f"{root}: class {single!r} has one image; add some to train and to test on, or remove it")
    parts: dict[Part, dict[str, list[Path]]] = {"train": {}, "test": {}}
    for name, files in classes.items():
        drawn = sorted(files, key=lambda path: (_digest(path, root), path))
        count = max(1, round(len(files) * TEST_SHARE))
        parts["test"][name], parts["train"][name] = sorted(drawn[:count]), sorted(drawn[count:])
    return dict(parts)


def class_name(text: str, of: str) -> str:
    """A class's name as it is shown; `of` names the place for the message. Raises DatasetError if it is not text."""
    if not text.isprintable():  # bytes that are not UTF-8 are not, either
        raise DatasetError(f"{of}: {text!a} is not printable text; give the class another name")
    return unicodedata.normalize("NFC", text)  # macOS writes an umlaut as two characters


def files_below(
    folder: Path, above: Set[tuple[int, int]] = frozenset(), on_circle: Callable[[Path], object] = lambda _: None
) -> Iterator[Path]:
    """Files below folder in the order of their names, without hidden ones; links are followed, but not in circles.

    above: the `identity` of folders that lead here. on_circle: called with a link to one of them. Raises OSError.
    """
    above = {*above, identity(folder)}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if not os.path.isdir(path):
            yield path
        elif identity(path) in above:
            on_circle(path)
        else:
            yield from files_below(path, above, on_circle)


def identity(folder: Path) -> tuple[int, int]:
    """What tells a folder from all others, by whatever path it is reached. Raises OSError."""
    found = folder.stat()
    return found.st_dev, found.st_ino


def in_words(names: Iterable[object]) -> str:
    """The first names, and how many more there are."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more


def _called_normal(names: Iterable[str]) -> str | None:
    """The only one that is `normal`, in any case."""
    found = [name for name in names if name.lower() == NORMAL]
    return found[0] if len(found) == 1 else None


def _ordered(names: Set[str]) -> list[str]:
    numbered = all(NUMBER.fullmatch(name) for name in names)
    return sorted(names, key=lambda name: (int(name) if numbered else 0, name))


def _digest(path: Path, root: Path) -> bytes:
    place = Path(os.path.relpath(path, root))
    return hashlib.sha256(place.as_posix().encode(errors="surrogateescape")).digest()
