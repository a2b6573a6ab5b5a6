"""Ray's token authentication: what to do about a cluster that refuses this process."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["token_hint"]


def token_hint() -> str:
    """What to do about a token that is missing here, or that the cluster refuses."""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return f"the cluster asks for a token, and RAY_AUTH_MODE is {os.environ.get('RAY_AUTH_MODE')!r}; unset it"
    token_path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if (
        token_path
        and not os.environ.get("RAY_AUTH_TOKEN")
        and not (Path(token_path).is_file() and Path(token_path).stat().st_size)
    ):
        return f"RAY_AUTH_TOKEN_PATH {token_path}: there is no token in it; copy ~/.ray/auth_token of the head there"
    file = Path("~/.ray/auth_token").expanduser()
    places = [name for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if os.environ.get(name)]
    place = places[0] if places else f"{file}" if file.exists() else ""
    if place:
        return f"the token of {place} is not that of this cluster; copy the one of its head there"
    return (
        f"the cluster asks for a token, and there is none here; copy ~/.ray/auth_token of its head to {file}, or set "
        "RAY_AUTH_MODE=disabled for a cluster without tokens"
    )
