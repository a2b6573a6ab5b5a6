"""The storage of a sweep on a cluster: one folder for all nodes, which is tried out with a token."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Generator
from pathlib import Path

from adcore.errors import UserError
from sweeps.engine.machine.nodes import ask_every_node

__all__ = ["NOT_SEEN", "require_shared", "require_visible", "storage_token"]

#: How the names of tokens, and of the nodes' answers, begin, and what follows the sweep's name there: no name holds it.
PREFIX, MARK = ".storage-token-", "+"
#: Seconds after which a file written on another machine must be visible: network file systems cache names for a while.
PATIENCE = 5.0
#: What a node says that does not see the token.
NOT_SEEN = "does not see what the driver writes to"


@contextlib.contextmanager
def storage_token(folder: Path, sweep: str, flag: str = "--storage") -> Generator[Path]:
    """An empty file in `folder` whose name no other folder can hold; removed at the end, with all answers.

    sweep: its name; other sweeps may have tokens of their own in the same folder. Raises UserError, starting with the
    flag that names the folder, if it cannot be written.
    """
    own_prefix = f"{PREFIX}{sweep}{MARK}"
    token = folder / f"{own_prefix}{uuid.uuid4().hex}"
    _remove_files(folder, own_prefix)  # of a driver of the sweep that was killed
    try:
        token.touch()
    except OSError as error:
        raise UserError(f"{flag}: {token} cannot be written ({error.strerror})") from error
    try:
        yield token
    finally:
        _remove_files(folder, own_prefix)


def require_shared(token: Path, flag: str = "--storage") -> None:
    """Raises UserError, starting with the flag that names the token's folder, for a node that does not see the token,
    or whose files this driver does not see."""
    for node, (reason, answer) in ask_every_node(_answer_token, token):
        if not reason and not _appears(answer):
            reason = f"writes files that the driver does not see to {token.parent}"
        if reason:
            raise UserError(
                f"{flag}: node {node} {reason}; expected a folder of a file system that every node mounts at the "
                f"same path; or give --checkpoints s3://BUCKET/PREFIX"
            )


def require_visible(token: Path | None) -> None:
    """Raises UserError if this worker's node, which may have joined late, does not see the token. None: no cluster."""
    if token and not _appears(token):
        raise UserError(f"node {socket.gethostname()} {NOT_SEEN} {token.parent}")


def _answer_token(token: Path) -> tuple[str, Path]:
    """Why this worker's node cannot use the token's folder, or ""; and the file that it has written there."""
    answer = token.with_name(f"{token.name}-{uuid.uuid4().hex}")
    if not _appears(token):
        return f"{NOT_SEEN} {token.parent}", answer
    try:
        answer.touch()
    except OSError as error:
        return f"cannot write to {token.parent} ({error.strerror})", answer
    return "", answer


def _appears(file: Path) -> bool:
    """Whether a file is there before long."""
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(file):  # unlike Path.exists: False for a folder that may not be entered
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def _remove_files(folder: Path, prefix: str) -> None:
    for file in folder.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # one that stays does no harm
            file.unlink()
