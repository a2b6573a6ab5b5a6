"""Score the images of many files, in batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from adcore.errors import UserError
from adcore.predict.images import read_file
from adcore.predict.models import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scored", "score_files"]

#: An image's name and its pixels, uint8 [channels, side, side].
Named = tuple[str, "NDArray[np.uint8]"]


@dataclasses.dataclass(frozen=True)
class Scored:
    """An image's score, and the file of its heatmap; "" if there is none."""

    name: str
    score: float
    heatmap: str = ""


def score_files(
    model: Model, files: Sequence[Path], *, batch_size: int, heatmaps: Path | None = None
) -> tuple[list[Scored], list[str]]:
    """The scores of all images, in the files' order, and a line for each file or image that cannot be read.

    batch_size: images scored at a time. heatmaps: the folder to write error maps to, created if needed. Raises
    UserError if it cannot be written.
    """
    scored: list[Scored] = []
    unreadable: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("files", total=len(files))

        def images() -> Iterator[Named]:
            for path in files:
                yield from _readable(path, model, unreadable.append)
                progress.advance(task)

        for batch in _batches(images(), batch_size):
            names, pixels = zip(*batch, strict=True)
            tensor = torch.from_numpy(np.stack(pixels))
            scores = model.scores(tensor).tolist()
            written = _heatmaps(model, tensor, names, len(scored), heatmaps) if heatmaps else [""] * len(names)
            scored += [Scored(*fields) for fields in zip(names, scores, written, strict=True)]
    return scored, unreadable


def _readable(path: Path, model: Model, refuse: Callable[[str], object]) -> Iterator[Named]:
    try:
        yield from read_file(path, model.info.channels, model.info.size)
    except UserError as error:
        refuse(str(error))


def _batches(images: Iterator[Named], size: int) -> Iterator[list[Named]]:
    batch: list[Named] = []
    for image in images:
        batch.append(image)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _heatmaps(model: Model, images: Tensor, names: Sequence[str], before: int, folder: Path) -> list[str]:
    """Write the heatmaps of a batch; returns their files. before: images of earlier batches."""
    from adcore.predict.heatmaps import file_name, write_heatmap

    plain, errors = model.error_maps(images)
    paths = [folder / file_name(before + place, name) for place, name in enumerate(names, 1)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, image, error_map in zip(paths, plain, errors, strict=True):
            write_heatmap(path, image, error_map)
    except OSError as error:
        raise UserError(f"--heatmaps {str(folder)!r}: cannot be written ({error.strerror})") from error
    return [str(path) for path in paths]
