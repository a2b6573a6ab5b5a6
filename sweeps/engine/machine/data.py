"""The data of a sweep: checked before anything is trained, and the same on every resume."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from adcore.errors import UserError
from adcore.protocols.definitions import HELD_OUT
from sweeps.engine.planning.run_settings import RunSettings

if TYPE_CHECKING:
    from adcore.config import TrainConfig
    from adcore.datasets import ImageDataset, Part

__all__ = ["Hashes", "load_data", "load_test_part", "require_same_data"]

#: The hash of a part's content, by data set and part.
Hashes = Mapping[str, Mapping[str, str]]


def load_data(
    names: Sequence[str], parts: Sequence[Part], settings: RunSettings, image_size: int = 32, protocol: str = "paper"
) -> tuple[dict[tuple[str, str], ImageDataset], dict[str, dict[str, str]]]:
    """Load these parts of each data set, by name and part; returns them with the hashes of all parts.

    The other part is opened too, to check that it exists and has images of every class, and then dropped. image_size:
    side that images of one's own are brought to; what the user has to know of them is printed on stderr. protocol: that
    of the trainings.
    Raises UserError for files that are missing or damaged, and for classes without images.
    """
    from adcore.datasets import PARTS
    from adcore.datasets.fetch_display import fetch_progress
    from adcore.protocols.held_out import load_part
    from adcore.protocols.splits import require_every_class

    source: dict[str, Any] = {"data_dir": settings.data_dir, "allow_unverified": settings.allow_unverified_data}
    source["image_size"] = image_size
    datasets: dict[tuple[str, str], ImageDataset] = {}
    hashes: dict[str, dict[str, str]] = {name: {} for name in names}
    with fetch_progress() as progress:
        for name, part in itertools.product(names, PARTS):
            data = load_part(name, part, protocol, **source, progress=progress)
            for note in data.notes:  # before a class is missed: its files may be among those that cannot be read
                click.echo(note, err=True)
            if part == "train":
                only = data.info.normal_class if protocol == HELD_OUT else None
                require_every_class(data.labels, data.class_names, only=only)
            else:
                require_every_class(data.labels, data.class_names, at_least=1, of=f"the test part of {name}")
            hashes[name][part] = data.content_hash
            if part in parts:
                datasets[name, part] = data
    return datasets, hashes


def load_test_part(
    base: TrainConfig, settings: RunSettings, recorded_hashes: Hashes | None, sweep: str
) -> ImageDataset:
    """The test part for models of `base`. Raises UserError if its hash is not the one on record."""
    from adcore.protocols.held_out import load_part

    source: dict[str, Any] = {"data_dir": settings.data_dir, "allow_unverified": settings.allow_unverified_data}
    data = load_part(base.dataset, "test", base.protocol, **source, image_size=base.image_size)
    require_same_data(recorded_hashes, {base.dataset: {"test": data.content_hash}}, sweep)
    return data


def require_same_data(recorded_hashes: Hashes | None, hashes: Hashes, sweep: str) -> None:
    """Raises UserError if a sweep was started with other data. recorded_hashes: None if the record does not say."""
    for name, parts in hashes.items():
        for part, found in parts.items():
            expected = (recorded_hashes or {}).get(name, {}).get(part, found)
            if found != expected:
                raise UserError(
                    f"sweep {sweep!r} was started with other data: the {part} part of {name} has content {found[:12]}, "
                    f"expected {expected[:12]}; {_remedy(name)}, or start a new sweep"
                )


def _remedy(name: str) -> str:
    restore = "put the images back as they were"
    return restore if ":" in name else "name the folder of those files with --data-dir"
