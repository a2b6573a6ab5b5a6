"""Convert a TrainConfig to MLflow's parameters, which are texts, and back."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from adcore.config import LOSS_WEIGHTS, TrainConfig

__all__ = ["as_config", "as_text", "run_params"]

#: Settings of the protocol, whichever detector also asks for them.
PROTOCOL_FIELDS = {"labelled_share"}
#: How a field is read, by its annotation.
READERS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "str": str,
        "int": int,
        "float": float,
        "bool": "True".__eq__,
        "int | None": lambda text: None if text == "None" else int(text),
        "tuple[int, ...]": lambda text: tuple(int(part) for part in text.split(",")),
    }
)


def run_params(config: TrainConfig) -> dict[str, Any]:
    """The settings of a training that its detector uses, by name."""
    unused = _unused_fields(config.detector)
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in unused}


@functools.cache
def _unused_fields(detector: str) -> frozenset[str]:
    """The TrainConfig fields that only other detectors use."""
    from adcore.detectors import DETECTORS

    kinds = [_fields_of(kind.config_fields) for kind in DETECTORS.values()]
    used = _fields_of(DETECTORS[detector].config_fields)
    return frozenset(set[str]().union(*kinds) - used - PROTOCOL_FIELDS)


def _fields_of(names: Iterable[str]) -> set[str]:
    """The TrainConfig fields behind a detector's settings."""
    weights = {f"weight_{name}" for name in LOSS_WEIGHTS}
    return set[str]().union(*(weights if name == "weights" else {name} for name in names))


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by name, as MLflow shows them."""
    return {name: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for name, v in values.items()}


def as_config(params: Mapping[str, str]) -> TrainConfig:
    """The TrainConfig of a run, to the last digit; a setting that its detector does not use is the default."""
    types = {field.name: str(field.type) for field in dataclasses.fields(TrainConfig)}
    return TrainConfig(**{name: READERS[types[name]](text) for name, text in params.items() if name in types})
