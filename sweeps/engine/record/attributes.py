"""Attributes: values by name in a sweep's record, besides its configurations."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna

from sweeps.engine.machine.code import UNKNOWN_CODE, Code, current_code
from sweeps.engine.storage.errors import StorageError, storage

__all__ = ["PACK", "Attributes"]

#: Start of the names of packs of the search, of which there are many: their number follows.
PACK = "pack_"


class Attributes:
    """Plain values by name, as the user attributes of an Optuna study. path: its file, for messages.

    shared_attributes: those of the study that really holds them, if it is another one. storage_error: the first one in
    writing the study. All methods that write raise StorageError. Values are read once, packs left out: only this driver
    writes.
    """

    def __init__(self, study: optuna.Study, path: Path, *, shared_attributes: Attributes | None = None) -> None:
        self._attribute_study: optuna.Study = shared_attributes._attribute_study if shared_attributes else study
        self.path = path
        self.storage_error: StorageError | None = None
        self._values: dict[str, Any] = shared_attributes._values if shared_attributes else self._read()

    def write(self, key: str, value: Any) -> None:
        """Set an attribute to plain values."""
        with self.writing():
            self._attribute_study.set_user_attr(key, value)
        self._values[key] = json.loads(json.dumps(value))

    def read(self, key: str) -> Any:
        """An attribute, or None; of packs, see `all`."""
        return copy.deepcopy(self._values.get(key))

    def all(self) -> dict[str, Any]:
        """Every attribute by name, in one read of the file."""
        return self._attribute_study.user_attrs

    def _read(self) -> dict[str, Any]:
        return {key: value for key, value in self.all().items() if not key.startswith(PACK)}

    @contextmanager
    def writing(self) -> Generator[None]:
        """Turn a failure within into a StorageError, and remember the first."""
        try:
            with storage(self.path):
                yield
        except StorageError as error:
            self.storage_error = self.storage_error or error
            raise

    def write_confirmed(self, configuration: int, seed: int, values: Mapping[int, float]) -> None:
        """Add values by class of models trained with a fresh seed to those on record."""
        key = f"confirm_{configuration}_{seed}"
        stored = self.read(key) or {}
        self.write(key, {**stored, **{str(index): value for index, value in values.items()}})

    def confirmation_values(self, configuration: int, seed: int) -> dict[int, float]:
        """The metric by class of a configuration's models trained with a fresh seed."""
        return {int(index): value for index, value in (self.read(f"confirm_{configuration}_{seed}") or {}).items()}

    @property
    def codes(self) -> list[Code]:
        """The versions of the code that the sweep was run with, in order."""
        return [Code(*fields) for fields in self.read("code") or [UNKNOWN_CODE]]

    def note_code(self) -> None:
        """Record the running code; call before anything is trained or scored. If other code ran the sweep before, the
        record names both, and that is printed. Raises StorageError."""
        codes, now = self.codes, current_code()
        if codes[-1].sources == now.sources:
            return
        print(
            f"this sweep was run with other code before ({codes[-1]}; now {now}): its results mix both",
            file=sys.stderr,
        )
        self.write("code", [*codes, now])
