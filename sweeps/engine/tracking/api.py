"""One real call of a tracking server: it may answer, and still refuse every update."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adcore.errors import UserError
from sweeps.engine.tracking.variables import set_variables

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = ["check_api"]

#: MLflow's variable for the seconds that an answer may take, and our limit unless the user has set one.
TIMEOUT, SECONDS = "MLFLOW_HTTP_REQUEST_TIMEOUT", "15"
#: What MLflow's server says to a request for a host name that it was not started for.
OTHER_HOST = "Invalid Host header"
#: The first version that takes the data that a run reads, which is the newest call that a sweep needs; and what a
#: server says that lacks a call.
OLDEST, LACKS = "2.4", "ENDPOINT_NOT_FOUND"
#: The id of a run that no server has.
NO_RUN = "0" * 32


def check_api(uri: str, experiment: str) -> None:
    """Raises UserError, with the reason, if a server does not answer like the MLflow that a sweep needs."""
    with _short_timeout(uri):
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        client, is_mlflow = MlflowClient(uri), False
        try:
            found_experiment = client.get_experiment_by_name(experiment)
            if found_experiment is not None and found_experiment.name != experiment:
                raise UserError(f"--tracking-uri {uri}: what answers there is not MLflow; correct the address")
            is_mlflow = True
            client.search_experiments(max_results=1)
            _try_inputs(client)
        except MlflowException as error:
            raise UserError(f"--tracking-uri {uri}: {_reason(uri, error, is_mlflow=is_mlflow)}") from error


def _try_inputs(client: MlflowClient) -> None:
    """Raises MlflowException if the server does not know the call; one that does says that there is no such run."""
    from mlflow.exceptions import MlflowException

    try:
        client.log_inputs(NO_RUN, [])
    except MlflowException as error:
        if error.error_code == LACKS:
            raise


def _version(uri: str) -> str:
    """The version of MLflow that a server says it is, or ""."""
    import requests

    try:
        answer = requests.get(f"{uri.rstrip('/')}/version", timeout=float(os.environ[TIMEOUT])).text
    except requests.exceptions.RequestException:
        return ""
    return answer if re.fullmatch(r"[0-9]+[.][0-9]+[0-9a-z.]{0,20}", answer) else ""


@contextmanager
def _short_timeout(uri: str) -> Generator[None]:
    """MLflow's variables as a sweep sets them, for the time of the block with a time-out that suits a check."""
    given_timeout = os.environ.get(TIMEOUT)
    set_variables(uri)
    usual_timeout, os.environ[TIMEOUT] = os.environ[TIMEOUT], given_timeout or SECONDS
    try:
        yield
    finally:
        os.environ[TIMEOUT] = usual_timeout


def _reason(uri: str, error: Exception, *, is_mlflow: bool) -> str:
    """What is wrong, and what to do. is_mlflow: whether another call went well before."""
    text, code = " ".join(str(error).split()), getattr(error, "error_code", "")
    if OTHER_HOST in text:
        host = urlsplit(uri).netloc
        return f"the server refuses this host name (HTTP 403); start it with `mlflow server --allowed-hosts {host}`"
    if code == "UNAUTHENTICATED":
        return (
            "the server asks who you are (HTTP 401); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN"
        )
    if code == "PERMISSION_DENIED":
        return f"the server forbids this (HTTP 403): {text}; ask for access, or give another address"
    if is_mlflow and code == LACKS:
        version = f" ({_version(uri) or 'it does not say which version it is'})"
        return f"this MLflow server is too old{version}; expected {OLDEST} or later"
    if code == LACKS or "not in a valid JSON format" in text:
        return "what answers there is not MLflow; correct the address"
    return f"the server does not do what it is asked ({text})"
