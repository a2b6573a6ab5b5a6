"""Lists of image files with their classes: which class is normal, which files are the test part, what is left out."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adcore.datasets.files import DatasetError
from adcore.datasets.image_dataset import DatasetInfo, Part

__all__ = ["Listing", "class_name", "facts", "in_words", "split_by_name"]

#: Names of the two classes of data that are sorted by kind.
NORMAL, ANOMALY = "normal", "anomaly"
#: Share of each class that becomes the test part where the data have none.
TEST_SHARE = 1 / 6
#: A label is stored in a byte.
MOST_CLASSES = 256
#: Names of files that a message gives before it only counts them.
MOST_NAMED = 5

#: Files of each class.
Classes = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Listing:
    """The image files of a data set, by part and class. notes: what was left out or decided, a line each."""

    parts: Mapping[Part, Classes]
    notes: tuple[str, ...] = ()


def facts(name: str, counts: Mapping[Part, Mapping[str, int]], *, channels: int) -> DatasetInfo:
    """What is known of a data set of one's own from the number of images of each class, by part.

    Classes are in the order of their names. There is one normal class, which comes first, if the classes are `normal`
    and `anomaly`, or if the training part has images of one class only. Raises DatasetError if there are no training
    images, or too many classes.
    """
    train = {title: count for title, count in counts["train"].items() if count}
    if not train:
        raise DatasetError(f"{name}: no images to train on")
    class_names = sorted({*train, *(title for title, count in counts["test"].items() if count)})
    normal = next(iter(train)) if len(train) == 1 else NORMAL if set(class_names) == {NORMAL, ANOMALY} else None
    if normal == ANOMALY:
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


def split_by_name(classes: Classes, root: Path) -> dict[Part, Classes]:
    """Set a sixth of each class apart as the test part, at least one image.

    It depends on nothing but the files' names below root, and a new file moves few others.
    """
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


def in_words(names: Iterable[object]) -> str:
    """The first names, and how many more there are."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more


def _digest(path: Path, root: Path) -> bytes:
    place = path.relative_to(root) if path.is_relative_to(root) else path
    return hashlib.sha256(place.as_posix().encode(errors="surrogateescape")).digest()
