"""The environment variables that Ray reads: set before it is imported, read anew by it, put back after each sweep."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager

from adcore.system.backend import FILES_ALONE
from adcore.system.cpus import PATIENT_THREADS
from sweeps.engine.planning.run_settings import RunSettings

__all__ = ["environment_kept", "prepare_environment", "read_variables_again"]


def prepare_environment(settings: RunSettings) -> None:
    """Set the variables that Ray and matplotlib read on import: tokens, loopback for a local Ray, no screen."""
    os.environ.update(
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",  # the record and MLflow hold what Ray's own files would
        TUNE_DISABLE_SIGINT_HANDLER="1",
        TUNE_GLOBAL_CHECKPOINT_S="3600",  # Tune's own snapshots are not used
        RAY_IGNORE_UNHANDLED_ERRORS="1",  # search/failures.py tells of errors, once
        RAY_AIR_NEW_OUTPUT="0",  # the new output prints its own box at any verbosity
        RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE="1",  # search/ray_tuner.py forgives the loss of a node, any way
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="1",  # a trial that asks for no GPU sees none
        **FILES_ALONE,
    )
    if settings.address != "local":
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    else:
        for name, value in PATIENT_THREADS.items():
            os.environ.setdefault(name, value)
        for name in ("RAY_TMPDIR", "TMPDIR"):
            if name in os.environ:  # Ray is started in another folder
                os.environ[name] = os.path.abspath(os.environ[name])
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # binds every service to loopback
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # in this process only: no file to protect
        # trials get their own processes: an idle one per CPU would only be in their way
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
        # Ray runs workers at nice 15: beside any other busy process they would get a thirtieth of the CPU
        os.environ.setdefault("RAY_worker_niceness", "0")
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")  # else 20 or 30: a busy machine may need more
        os.environ.pop("RAY_ADDRESS", None)  # the cluster that it names was not asked for


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
