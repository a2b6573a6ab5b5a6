"""Why a trial failed, in one line that says what to do about it."""

from __future__ import annotations

import re

from ray.tune.experiment import Trial

from sweeps.engine.machine.shared_storage import NOT_SEEN
from sweeps.engine.search.node_losses import last_failure
from sweeps.engine.search.trial import parts_of
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import NO_ACCESS

__all__ = ["describe_failure", "storage_trouble"]

MEMORY = (
    "out of memory; to need less: fewer trials at a time (--max-concurrent) or a whole GPU for each "
    "(--gpus-per-trial); in a new sweep, fewer members per trial (--members-per-trial) or a scale with a smaller width "
    "or batch"
)
DISK = "the storage is full; free some space, then --resume"
READ_ONLY = "the storage is read-only; mount it writable, then --resume"
NOT_SHARED = "mount the storage on every node at the same path, then --resume"
NOT_REACHED = "check --checkpoints, the network and the node's credentials, then --resume"
#: Texts in a log, in lower case, and what they mean.
ADVICE = {
    "cuda out of memory": MEMORY,
    "outofmemoryerror": MEMORY,
    "can't allocate memory": MEMORY,
    "memoryerror": MEMORY,
    "running low on memory": MEMORY,
    "oom killer": f"perhaps {MEMORY}",  # Ray's guess at every killed worker
    "no space left on device": DISK,
    "read-only file system": READ_ONLY,
    NOT_SEEN: NOT_SHARED,
    NO_ACCESS: NOT_REACHED,
}
#: Those that are no configuration's fault.
OF_STORAGE = (DISK, READ_ONLY, NOT_SHARED, NOT_REACHED)


def describe_failure(trial: Trial, stage: str, *, silent: bool = False) -> str:
    """Which trial failed, why it did so last, and where its log is. silent: its worker was killed for its silence."""
    text = last_failure(trial)
    last = (text.strip().splitlines() or ["the worker process died"])[-1]
    advice = _advice(text)
    if silent:
        last, advice = "no report within --report-timeout", None
    parts = parts_of(trial.config)
    numbers = ",".join(map(str, dict.fromkeys(part.configuration for part in parts)))
    classes = ",".join(map(str, dict.fromkeys(index for part in parts for index in part.config.classes)))
    where = f"{stage} configuration {numbers}, classes {classes}"
    reason = f"{last}; {advice}" if advice else last
    return f"{where}: {reason} (log: {trial.error_file or 'Ray session folder'})"


def storage_trouble(trial: Trial) -> StorageError | None:
    """The error that kept a trial from writing its files; None if it failed for another reason the last time."""
    text = last_failure(trial)
    if _advice(text) not in OF_STORAGE:
        return None
    return StorageError(re.sub(r"^(\w+\.)*\w*Error: ", "", text.strip().splitlines()[-1]))


def _advice(log: str) -> str | None:
    return next((meaning for sign, meaning in ADVICE.items() if sign in log.lower()), None)
