"""Run work beside training on Ray's workers, which hold the GPUs: the driver's machine may have none."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

from adcore.errors import UserError
from sweeps.engine.machine.resources import Resources
from sweeps.engine.storage.errors import StorageError, one_line

__all__ = ["on_workers"]

Key = TypeVar("Key", bound=Hashable)
#: Times that Ray retries a call whose worker has died.
RETRIES = 2


def on_workers(
    function: Callable[..., Any], calls: Mapping[Key, tuple[Any, ...]], resources: Resources
) -> Iterator[tuple[Key, Any]]:
    """Call function with each of `calls`' arguments on a worker with a trial's resources; yields results as they come.

    If the resources are this process, the calls run here, one after another.
    Raises UserError, StorageError and OSError as the function does, and UserError for any other error.
    """
    yield from (_called_on_workers if resources.uses_workers else _called_here)(function, calls, resources)


def _called_here(
    function: Callable[..., Any], calls: Mapping[Key, tuple[Any, ...]], resources: Resources
) -> Iterator[tuple[Key, Any]]:
    for key, arguments in calls.items():
        try:
            result = function(*arguments)
        except (UserError, StorageError, OSError):
            raise
        except Exception as error:
            raise UserError(f"{function.__name__} failed: {one_line(error)}") from error
        yield key, result


def _called_on_workers(
    function: Callable[..., Any], calls: Mapping[Key, tuple[Any, ...]], resources: Resources
) -> Iterator[tuple[Key, Any]]:
    import ray
    from ray.exceptions import RayError

    remote = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=RETRIES)(function)
    waiting, under_way = list(calls.items()), dict[Any, Key]()
    while waiting or under_way:
        try:
            while waiting and len(under_way) < resources.slots:
                key, arguments = waiting.pop(0)
                under_way[remote.remote(*arguments)] = key
            [ended], _ = ray.wait(list(under_way), num_returns=1)
            key, result = under_way.pop(ended), ray.get(ended)
        except RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, UserError | StorageError | OSError):
                raise cause from None
            raise UserError(f"a worker failed in {function.__name__}: {one_line(cause or error)}") from error
        yield key, result
