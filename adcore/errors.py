"""The exception that a command line turns into one line on stderr and exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["UserError", "unknown_name"]


class UserError(ValueError):
    """A user's mistake; the message names the value, what was expected and what to do."""


def unknown_name(kind: str, name: str, legal: Iterable[str]) -> UserError:
    """The error for a name that is not in a registry; it suggests the nearest legal name."""
    legal = list(legal)
    near = difflib.get_close_matches(name, legal, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {kind} {name!r}{hint} (expected one of: {', '.join(legal)})")
