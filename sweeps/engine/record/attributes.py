"""Attributes: what a sweep knows beside its configurations, by name, in its record."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna

from sweeps.engine.machine.code import UNKNOWN, Code, current_code
from sweeps.engine.machine.storage import StorageError, storage

__all__ = ["Attributes"]


class Attributes:
    """Plain values by name, as the user attributes of an Optuna study. path: its file, for messages.

    broken: why the study could not be written, from the first time on; everything that writes raises StorageError.
    """

    def __init__(self, study: optuna.Study, path: Path) -> None:
        self._attributes_of, self.path = study, path
        self.broken: StorageError | None = None

    def write(self, key: str, value: Any) -> None:
        """Set an attribute, to plain values only."""
        with self.writing():
            self._attributes_of.set_user_attr(key, value)

    def read(self, key: str) -> Any:
        """An attribute, or None."""
        return self._attributes_of.user_attrs.get(key)

    def all(self) -> dict[str, Any]:
        """Every attribute by name: one look at the file, where many are asked for."""
        return self._attributes_of.user_attrs

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What fails within is a StorageError, and remembered."""
        try:
            with storage(self.path):
                yield
        except StorageError as error:
            self.broken = self.broken or error
            raise

    @property
    def codes(self) -> list[Code]:
        """The code that the sweep was run with, one version after another."""
        return [Code(*each) for each in self.read("code") or [UNKNOWN]]

    def note_code(self) -> None:
        """To be called before anything is trained or scored: a sweep that other code began is on record as of both,
        and it is said. Raises StorageError."""
        known, now = self.codes, current_code()
        if known[-1].sources == now.sources:
            return
        print(
            f"this sweep was run by other code before ({known[-1]}; now {now}): its results are of both",
            file=sys.stderr,
        )
        self.write("code", [*known, now])
