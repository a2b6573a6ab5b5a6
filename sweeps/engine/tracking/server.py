"""A tracking server: whether it answers, on the route that MLflow's client takes, and which errors may pass."""

from __future__ import annotations

from urllib.parse import urlsplit

from adcore.errors import UserError
from sweeps.engine.machine.cluster import PROBE_SECONDS

__all__ = ["PERMANENT", "check_server", "may_pass"]

#: Seconds that a server may take for an answer once it is reached.
ANSWER_SECONDS = 15.0
#: The status codes of a proxy whose server does not answer.
GATEWAY = (502, 503, 504)
#: MLflow's codes for errors that no retry corrects: a run that was deleted, a value that it does not accept.
PERMANENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS")
#: Those of a server that refuses a file or a model alone.
REFUSED = (*PERMANENT, "PERMISSION_DENIED", "FEATURE_DISABLED", "ENDPOINT_NOT_FOUND")
#: Status codes with which it asks for another try later.
TEMPORARY = (408, 425, 429)


def check_server(uri: str, address: str) -> None:
    """Raises UserError if nothing answers at uri. address: its HOST:PORT, for the message.

    Like the client, this follows HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Any answer of the server will do.
    """
    import requests

    try:
        proxy = requests.utils.select_proxy(uri, requests.utils.get_environ_proxies(uri, no_proxy=None))
        place = (
            f"{address} through the proxy {urlsplit(proxy).netloc.rpartition('@')[2] or proxy}" if proxy else address
        )
    except ValueError:  # unreadable variables
        place = address
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=(PROBE_SECONDS, ANSWER_SECONDS))
    except requests.exceptions.SSLError:  # it answers; which certificates the client trusts is its own setting
        return
    except (requests.exceptions.RequestException, ValueError) as error:  # ValueError: no valid host name
        raise UserError(f"--tracking-uri {uri}: nothing answers at {place} ({_reason(error)})") from error
    if answer.status_code in GATEWAY:
        raise UserError(f"--tracking-uri {uri}: nothing answers at {place} (HTTP {answer.status_code})")


def may_pass(error: Exception) -> bool:
    """Whether the copy of a file or a model failed because the server is away, slow or broken, as all else would.

    Otherwise that file is refused, or its place cannot be written from here: the client of an object store says so
    in errors of its own.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    if isinstance(error, RequestException):
        status = 0 if error.response is None else error.response.status_code
        return not 400 <= status < 500 or status in TEMPORARY
    return isinstance(error, MlflowException) and error.error_code not in REFUSED


def _reason(error: BaseException) -> str:
    """The system's own message, below the errors of requests and urllib3."""
    from requests.exceptions import Timeout

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "timed out" if isinstance(error, Timeout) else " ".join(str(error).split())
