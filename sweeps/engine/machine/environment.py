"""Environment variables in a process that runs several sweeps: put back after each, and read anew by Ray."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["environment_kept", "read_variables_again"]


@contextmanager
def environment_kept() -> Generator[None]:
    """Afterwards the environment is as it was: a cluster that is joined next would refuse a local Ray's token."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def read_variables_again() -> None:
    """Let Ray read the variables that it otherwise reads once in a process: of tokens, and where a Ray listens.

    Call it before Ray starts, not after it has ended: threads of Ray may need the last token until then.
    """
    from ray._common.utils import env_bool
    from ray._private import ray_constants
    from ray._raylet import AuthenticationTokenLoader, Config  # pyright: ignore[reportAttributeAccessIssue] # in C++

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    ray_constants.ENABLE_RAY_CLUSTER = env_bool(
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, not ray_constants.IS_WINDOWS_OR_OSX
    )
