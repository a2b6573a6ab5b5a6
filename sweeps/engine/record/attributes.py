"""Facts: what a sweep knows beside its configurations, by name, in its record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna

from sweeps.engine.machine.storage import StorageError, storage

__all__ = ["Facts"]


class Facts:
    """Plain values by name, as the user attributes of an Optuna study. path: its file, for messages.

    broken: why the study could not be written, from the first time on; everything that writes raises StorageError.
    """

    def __init__(self, facts: optuna.Study, path: Path) -> None:
        self.facts, self.path = facts, path
        self.broken: StorageError | None = None

    def write(self, key: str, value: Any) -> None:
        """A fact of the sweep, by name: plain values only."""
        with self.writing():
            self.facts.set_user_attr(key, value)

    def read(self, key: str) -> Any:
        """A fact of the sweep, or None."""
        return self.facts.user_attrs.get(key)

    def all(self) -> dict[str, Any]:
        """Every fact by name: one look at the file, where many are asked for."""
        return self.facts.user_attrs

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What fails within is a StorageError, and remembered."""
        try:
            with storage(self.path):
                yield
        except StorageError as error:
            self.broken = self.broken or error
            raise
