"""Check that a tracking server answers, on the route that MLflow's client takes."""

from __future__ import annotations

from urllib.parse import urlsplit

from adcore.errors import UserError
from sweeps.engine.machine.cluster import PROBE_SECONDS

__all__ = ["check_server"]

#: Seconds that a server may take for an answer once it is reached.
ANSWER_SECONDS = 15.0
#: The status codes of a proxy whose server does not answer.
GATEWAY = (502, 503, 504)


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


def _reason(error: BaseException) -> str:
    """The system's own message, below the errors of requests and urllib3."""
    from requests.exceptions import Timeout

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "timed out" if isinstance(error, Timeout) else " ".join(str(error).split())
