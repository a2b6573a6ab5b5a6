"""A folder of images: `folder:PATH` with a folder for each class, below `train` and `test` or without them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from adcore.datasets.files import DatasetError
from adcore.datasets.image_dataset import Part
from adcore.datasets.images import SUFFIXES
from adcore.datasets.listing import (
    Classes,
    Listing,
    class_name,
    each_once,
    files_below,
    identity,
    in_words,
    split_by_name,
)

__all__ = ["list_folder"]

#: Folders that belong to the training part, of which we set validation images apart ourselves.
TRAIN_TOO = ("val", "valid", "validation")


def list_folder(path: Path) -> Listing:
    """The image files below path: path/train/CLASS/... and path/test/CLASS/..., or path/CLASS/....

    Raises DatasetError for a path that is no folder, or has none with images.
    """
    if not path.is_dir():
        raise DatasetError(f"folder:{path}: {'not a folder' if path.exists() else 'no such folder'}")
    notes: list[str] = []
    try:
        parts = _parts(path, notes)
    except OSError as error:
        raise DatasetError(f"{error.filename}: cannot be read ({error.strerror})") from error
    return Listing(parts, tuple(notes))


def _parts(path: Path, notes: list[str]) -> dict[Part, Classes]:
    folders = _folders(path)
    named = {name.lower(): folder for name, folder in folders.items()}
    if ("train" in named) != ("test" in named):
        there, other = ("train", "test") if "train" in named else ("test", "train")
        raise DatasetError(f"folder:{path}: it has {there}/ without {other}/; expected both, or class folders alone")
    if "train" not in named:
        classes = _classes(path, notes)
        notes.append("no train/ and test/: a sixth of each class, chosen by a hash of the paths, is the test part")
        return split_by_name(each_once(classes, notes), path)
    _check_case(path, folders)
    train = _classes(named["train"], notes)
    for extra in (folder for name, folder in named.items() if name in TRAIN_TOO):
        notes.append(f"{extra.name}/ joins train/: a sixth of both, chosen by --split-seed, is for validation")
        more = _classes(extra, notes)
        train = {name: [*train.get(name, ()), *more.get(name, ())] for name in {**train, **more}}
    ignored = [f"{folder.name}/" for name, folder in named.items() if name not in ("train", "test", *TRAIN_TOO)]
    if ignored:
        notes.append(f"ignored beside train/ and test/: {in_words(ignored)}")
    test = each_once(_classes(named["test"], notes), notes)
    tested = (file for files in test.values() for file in files)
    return {"train": each_once(train, notes, except_for=tested), "test": test}


def _check_case(path: Path, folders: Iterable[str]) -> None:
    """Raises DatasetError for two folders of one part, train/ and Train/, whichever of them is meant."""
    for part in ("train", "test", *TRAIN_TOO):
        alike = [f"{name}/" for name in folders if name.lower() == part]
        if len(alike) > 1:
            raise DatasetError(f"folder:{path}: {' and '.join(alike)} differ in case alone; put their images into one")


def _folders(path: Path) -> dict[str, Path]:
    """Folders in path by name, without hidden ones."""
    found = sorted(
        entry.name for entry in os.scandir(path) if os.path.isdir(entry.path) and not entry.name.startswith(".")
    )
    return {name: path / name for name in found}


def _classes(path: Path, notes: list[str]) -> dict[str, list[Path]]:
    """Image files by class, of each folder in path."""
    found: dict[str, list[Path]] = {}
    others: Counter[str] = Counter()

    def on_circle(link: Path) -> None:
        notes.append(f"{link}: a link to a folder above it is not followed")

    for name, folder in _folders(path).items():
        images: list[Path] = []
        for file in files_below(folder, {identity(path)}, on_circle):
            if file.suffix.lower() in SUFFIXES:
                images.append(file)
            else:
                others[file.suffix.lower() or "without suffix"] += 1
        if images:
            found.setdefault(class_name(name, str(path)), []).extend(images)
        else:
            notes.append(f"{folder}: no images in this folder; it is no class")
    if outside := [entry.name for entry in os.scandir(path) if entry.name.lower().endswith(SUFFIXES)]:
        notes.append(f"{path}: {len(outside)} images in no class folder are left out: {in_words(sorted(outside))}")
    kinds = in_words(f"{count} {kind}" for kind, count in sorted(others.items()))
    if others:
        notes.append(f"{path}: files of other kinds are left out: {kinds}")
    if not found:
        expected = f"expected folders of {', '.join(SUFFIXES)} files, one for each class, such as {path / 'normal'}"
        none = f"no images of a kind that is read, but {kinds}" if others else "no images"
        above = f"; if this is the folder of a class, name {path.parent}"
        found_there = f"its {len(outside)} images are in no class's folder" if outside else none
        raise DatasetError(f"{path}: {found_there}; {expected}{above if outside else ''}")
    return found
