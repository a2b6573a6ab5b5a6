"""A table of images: `csv:FILE` with the columns path, label and, optionally, split."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from adcore.datasets.files import DatasetError
from adcore.datasets.image_dataset import PARTS, Part
from adcore.datasets.listing import Listing, class_name, each_once, split_by_name

__all__ = ["list_csv"]

#: Values of the column split, and the part that they stand for.
SPLITS: Mapping[str, Part] = {"train": "train", "val": "train", "valid": "train", "validation": "train", "test": "test"}


def list_csv(path: Path) -> Listing:
    """The image files that a table names, relative to its folder.

    Raises DatasetError, naming the line, for a table that lacks a column or a value, or names a file twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [name.strip().lower() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            if not {"path", "label"} <= set(columns):
                raise DatasetError(
                    f"csv:{path}: columns {', '.join(columns) or 'none'}; expected path and label, separated by commas"
                )
            return _listing(path, ((reader.line_num, row) for row in reader), has_split="split" in columns)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"csv:{path}: not a table of comma-separated values in UTF-8 ({error})") from error
    except OSError as error:
        raise DatasetError(f"csv:{path}: cannot be read ({error.strerror})") from error


def _listing(path: Path, rows: Iterable[tuple[int, Mapping[str, str | None]]], *, has_split: bool) -> Listing:
    parts: dict[Part, dict[str, list[Path]]] = {part: {} for part in PARTS}
    lines: dict[Path, int] = {}
    for line, row in rows:
        place, label, split = ((row.get(name) or "").strip() for name in ("path", "label", "split"))
        where = f"csv:{path}, line {line}"
        if not place or not label:
            raise DatasetError(f"{where}: no {'label' if place else 'path'}; expected both")
        if has_split and split.lower() not in SPLITS:
            raise DatasetError(f"{where}: split {split!r}, expected one of {', '.join(SPLITS)}")
        file = Path(os.path.normpath(path.parent / place))
        if file in lines:
            raise DatasetError(f"{where}: {place} is in line {lines[file]}, too; name each image once")
        lines[file] = line
        part = SPLITS[split.lower()] if has_split else "train"
        parts[part].setdefault(class_name(label, where), []).append(file)
    notes: list[str] = []
    test = each_once(parts["test"], notes)
    tested = (file for files in test.values() for file in files)
    train = each_once(parts["train"], notes, except_for=tested)
    if has_split:
        return Listing({"train": train, "test": test}, tuple(notes))
    notes.append("no column split: a sixth of each class, chosen by a hash of the paths, is the test part")
    return Listing(split_by_name(train, path.parent), tuple(notes))
