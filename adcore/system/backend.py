"""The backend of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["FILES_ALONE"]

#: Environment variables with which matplotlib draws to files only. Set them before it is imported, which Lightning does
#: as well: a notebook may have named a backend that is not installed here, and then the import fails.
FILES_ALONE: Mapping[str, str] = MappingProxyType({"MPLBACKEND": "agg"})
