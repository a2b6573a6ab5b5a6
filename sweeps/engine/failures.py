"""Why a trial failed, in one line that says what to do about it."""

from __future__ import annotations

from pathlib import Path

from ray.tune.experiment import Trial

__all__ = ["describe_failure"]

MEMORY = (
    "out of memory; what needs less of it: fewer classes per trial (--classes-per-trial), fewer trials at a time "
    "(--max-concurrent), a larger share of a GPU (--gpus-per-trial), a scale with a smaller width or batch"
)
DISK = "the storage is full; free some space, then --resume"
READ_ONLY = "the storage cannot be written; mount it writable, then --resume"
#: What stands in a log, in lower case, and what it means.
ADVICE = {
    "cuda out of memory": MEMORY,
    "outofmemoryerror": MEMORY,
    "can't allocate memory": MEMORY,
    "memoryerror": MEMORY,
    "running low on memory": MEMORY,
    "oom killer": f"perhaps {MEMORY}",  # Ray's guess at every killed worker
    "no space left on device": DISK,
    "read-only file system": READ_ONLY,
}


def describe_failure(trial: Trial, stage: str, *, silent_minutes: float | None = None) -> str:
    """Which trial failed, why, and where its log is. silent_minutes: it was ended after so long without a report."""
    config = trial.config
    file = Path(trial.error_file or "")  # the driver's own: get_error() reads a copy that is not there yet
    text = file.read_text() if file.is_file() else ""
    last = (text.strip().splitlines() or ["the worker process died"])[-1]
    advice = next((meaning for sign, meaning in ADVICE.items() if sign in text.lower()), None)
    if silent_minutes is not None:
        last, advice = f"no report for {silent_minutes:g} minutes (--report-timeout)", None
    classes = ",".join(map(str, config["classes"]))
    where = f"{stage} configuration {config['configuration']}, classes {classes}"
    reason = f"{last}; {advice}" if advice else last
    return f"{where}: {reason} (log: {trial.error_file or 'Ray session folder'})"
