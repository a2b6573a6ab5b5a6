"""Convert a TrainConfig to MLflow's parameters, which are texts, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from adcore.config import TrainConfig

__all__ = ["as_config", "as_text"]

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


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by name, as MLflow shows them."""
    return {name: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for name, v in values.items()}


def as_config(params: Mapping[str, str]) -> TrainConfig:
    """The TrainConfig of a run, to the last digit. Raises KeyError if one of its parameters is missing."""
    fields = dataclasses.fields(TrainConfig)
    return TrainConfig(**{field.name: READERS[str(field.type)](params[field.name]) for field in fields})
