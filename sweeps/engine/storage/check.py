"""The checkpoints' store, tried out before anything starts: its bucket is there, and takes and gives up an object."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import uuid
from collections.abc import Callable
from typing import TypeVar

from adcore.errors import UserError
from sweeps.engine.storage.address import Address, parse_address
from sweeps.engine.storage.errors import StorageError, one_line
from sweeps.engine.storage.object_store import ObjectStore

__all__ = ["open_store"]

#: Attempts of a request while the store is tried out, and seconds for all of it.
ATTEMPTS, PATIENCE = 2, 20.0
#: How the name of the object begins that is written and deleted.
PROBE = ".adsweep-probe-"
Answer = TypeVar("Answer")


def open_store(text: str, flag: str = "--checkpoints") -> ObjectStore:
    """The store at an address. Raises UserError for one that is unknown, away, without its bucket, or not writable."""
    address = parse_address(text, flag)
    place = f"{flag} {address.for_messages}"
    store = _within(PATIENCE, lambda: _try_store(address, place))
    if store is None:
        raise UserError(f"{place}: no answer within {PATIENCE:.0f} seconds; check the network and the endpoint")
    return store


def _try_store(address: Address, place: str) -> ObjectStore:
    try:
        store = ObjectStore(_with_region(address), ATTEMPTS)
        if not store.holds_bucket():
            bucket = address.path.partition("/")[0]
            raise UserError(f"{place}: there is no bucket {bucket!r}, or these credentials may not see it; create it")
        probe = f"{PROBE}{uuid.uuid4().hex}"
        store.put_bytes(probe.encode(), probe)
        store.delete(probe)
    except StorageError as error:
        cause = error.__cause__ or error
        raise UserError(f"{place}: cannot be written ({one_line(cause)})") from error
    return dataclasses.replace(store, attempts=ObjectStore.attempts)


def _with_region(address: Address) -> Address:
    """The address with its bucket's region, which workers need as well; the variables decide if AWS does not say."""
    if address.scheme != "s3" or {"region", "endpoint_override"} & address.options.keys():
        return address
    from pyarrow.fs import resolve_s3_region

    with contextlib.suppress(OSError):
        region = resolve_s3_region(address.path.partition("/")[0])
        return dataclasses.replace(address, options={**address.options, "region": region})
    return address


def _within(seconds: float, question: Callable[[], Answer]) -> Answer | None:
    """The answer to a question, or its error; None if it takes longer: pyarrow's calls have no time limit."""
    answers: list[Answer] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(question())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    return answers[0] if answers else None
