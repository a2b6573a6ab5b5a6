"""MLflow's environment variables: those that would change the meaning of a write are set here, and reported."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

__all__ = ["ignored_variables", "set_variables"]

#: Set by a sweep, whatever the environment says, with the reason.
FIXED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "MLFLOW_ENABLE_ASYNC_LOGGING": ("false", "a write is done when it returns"),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": ("0", "an automatic retry could create a run twice"),
    }
)
#: The same, if MLflow's store is in this process: what is written has to be found in the named file.
FIXED_IN_PROCESS: Mapping[str, tuple[str | None, str]] = MappingProxyType(
    {
        "MLFLOW_ENABLE_WORKSPACES": ("false", "a database file has none"),
        "MLFLOW_WORKSPACE": (None, "a database file has none"),
        "MLFLOW_READ_REPLICA_BACKEND_STORE_URI": (None, "runs are read where they are written"),
    }
)
#: Used by other MLflow programs, but not by a sweep.
UNUSED: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_TRACKING_URI": "--tracking-uri says where runs go",
        "MLFLOW_REGISTRY_URI": "--tracking-uri also has the registry",
        "MLFLOW_EXPERIMENT_NAME": "the experiment is named after the script",
        "MLFLOW_EXPERIMENT_ID": "the experiment is named after the script",
        "MLFLOW_RUN_ID": "a sweep has runs of its own",
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "--system-metrics turns that on",
    }
)
#: Set if the environment does not set them.
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # the sweep has a display of its own
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",  # seconds
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # no traceback for each failed try; failures are reported at the end
    }
)


def set_variables(uri: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables; call before MLflow is imported. uri: where runs go."""
    for name, (value, _) in _fixed(uri).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    for name, value in DEFAULTS.items():
        environment.setdefault(name, value)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each retry would be a line in the display


def ignored_variables(uri: str, *, is_named: bool, environment: Mapping[str, str] = os.environ) -> str:
    """The variables that are set but not used, in one line; "" if none. is_named: uri is from the command line."""
    reasons = dict(UNUSED)
    if is_named or environment.get("MLFLOW_TRACKING_URI") == uri:
        del reasons["MLFLOW_TRACKING_URI"]
    for name, (value, reason) in _fixed(uri).items():
        if environment.get(name, "").lower() not in ("", value):
            reasons[name] = reason
    ignored = [f"{name} ({reason})" for name, reason in reasons.items() if environment.get(name)]
    return f"set, but not used: {', '.join(ignored)}" if ignored else ""


def _fixed(uri: str) -> dict[str, tuple[str | None, str]]:
    return {**FIXED, **(FIXED_IN_PROCESS if uri.startswith("sqlite:") else {})}
