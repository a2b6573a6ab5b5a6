"""MLflow's variables in the environment: those that would change what a write means are set here, and it is said."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

__all__ = ["ignored", "set_variables"]

#: Set by a sweep, whatever the environment says, and why.
FIXED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "MLFLOW_ENABLE_ASYNC_LOGGING": ("false", "a write is done when it returns"),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": ("0", "a request that is repeated by itself would double a run"),
    }
)
#: The same, where MLflow's store is in this process: what is written has to be found in the file that was named.
FIXED_IN_PROCESS: Mapping[str, tuple[str | None, str]] = MappingProxyType(
    {
        "MLFLOW_ENABLE_WORKSPACES": ("false", "a database file has none"),
        "MLFLOW_WORKSPACE": (None, "a database file has none"),
        "MLFLOW_READ_REPLICA_BACKEND_STORE_URI": (None, "runs are read where they are written"),
    }
)
#: What other programs of MLflow's heed, and a sweep does not.
UNUSED: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_TRACKING_URI": "--tracking-uri says where runs go",
        "MLFLOW_EXPERIMENT_NAME": "the experiment is named after the script",
        "MLFLOW_EXPERIMENT_ID": "the experiment is named after the script",
        "MLFLOW_RUN_ID": "a sweep has runs of its own",
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "runs are written by the driver, not where they train",
    }
)
#: Where the environment says nothing else.
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",  # seconds
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # a traceback for each try that fails; what failed is said at the end
    }
)


def set_variables(uri: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """To be called before MLflow is imported. uri: where runs go."""
    for name, (value, _) in _fixed(uri).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    for name, value in DEFAULTS.items():
        environment.setdefault(name, value)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each retry would be a line in the display


def ignored(uri: str, *, is_named: bool, environment: Mapping[str, str] = os.environ) -> str:
    """What is set and does not count, in a line; "" if there is nothing. is_named: uri comes from the command line."""
    reasons = dict(UNUSED)
    if is_named or environment.get("MLFLOW_TRACKING_URI") == uri:
        del reasons["MLFLOW_TRACKING_URI"]
    for name, (value, reason) in _fixed(uri).items():
        if environment.get(name, "").lower() not in ("", value):
            reasons[name] = reason
    found = [f"{name} ({reason})" for name, reason in reasons.items() if environment.get(name)]
    return f"not used, though set: {', '.join(found)}" if found else ""


def _fixed(uri: str) -> dict[str, tuple[str | None, str]]:
    return {**FIXED, **(FIXED_IN_PROCESS if uri.startswith("sqlite:") else {})}
