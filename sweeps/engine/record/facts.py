"""Facts about data of one's own, as they were when a sweep began: its classes' names, and which one is normal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adcore.datasets.image_dataset import DatasetInfo
from adcore.datasets.own import is_own, remember
from adcore.options import from_plain

if TYPE_CHECKING:
    from sweeps.engine.planning.base_plan import Data

__all__ = ["FACTS", "facts_of", "remember_facts"]

#: Attribute: the facts by data set; records of earlier versions lack it.
FACTS = "facts"


def facts_of(data: Data) -> dict[str, dict[str, Any]]:
    """The facts as plain values, for the record."""
    infos = [dataset.info for dataset in data.values() if is_own(dataset.info.name)]
    return {info.name: dataclasses.asdict(info) for info in infos}


def remember_facts(facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Make facts on record known to this process, so that it reads a sweep whose data have changed or are gone."""
    for fields in facts.values():
        remember(DatasetInfo(**from_plain(fields)))
