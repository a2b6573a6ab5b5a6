"""How matplotlib draws."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["FILES_ALONE"]

#: Environment in which it draws to files, to be set before it is imported, which Lightning does as well: a backend that
#: a notebook has left there may not be installed here, and then the import fails.
FILES_ALONE: Mapping[str, str] = MappingProxyType({"MPLBACKEND": "agg"})
