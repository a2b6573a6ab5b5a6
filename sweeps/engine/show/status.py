"""SweepStatus: one sweep as its folder shows it at this moment."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adcore.errors import UserError
from sweeps.engine.machine.commands import resume_command
from sweeps.engine.machine.locations import with_moved_paths
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.home import RECORD, SweepHome, unknown_sweep
from sweeps.engine.record.lock import is_held
from sweeps.engine.record.progress import (
    ENDED,
    EXTENSIONS,
    STAGE,
    is_being_extended,
    openings_before_extension,
    seconds_left,
)
from sweeps.engine.show.counts import best_so_far, confirmed_configurations, counts, is_table, metric_of
from sweeps.engine.show.record_file import RecordFile, read_record

__all__ = ["SweepStatus", "all_statuses", "status_of"]

#: What the exit code of the last driver says of a sweep that no driver works on.
STATES: Mapping[Any, str] = {0: "complete", 1: "failed", 130: "interrupted"}


@dataclasses.dataclass(frozen=True)
class SweepStatus:
    """A sweep at this moment; docs/running.md describes each field. error: why its record cannot be shown, or empty."""

    name: str
    folder: str
    state: str = "unknown"
    error: str = ""
    changed: str | None = None
    script: str | None = None
    scale: str | None = None
    metric: str | None = None
    data: list[str] = dataclasses.field(default_factory=list[str])
    stage: str | None = None
    started: str | None = None
    seconds_left: float | None = None
    reason: str = ""
    failures: list[str] = dataclasses.field(default_factory=list[str])
    counts: dict[str, Any] | None = None
    best: dict[str, Any] | None = None
    confirmed: list[dict[str, Any]] = dataclasses.field(default_factory=list[dict[str, Any]])
    results: dict[str, Any] | None = None
    test_openings: list[str] = dataclasses.field(default_factory=list[str])
    files: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    mlflow: str | None = None
    resume: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether a driver works on it."""
        return self.state == "running"

    def as_plain(self) -> dict[str, Any]:
        """Plain values for JSON, in which NaN is null."""
        return _finite(dataclasses.asdict(self))


def all_statuses(storage: Path) -> list[SweepStatus]:
    """Every sweep of a storage, by name. Raises UserError if there is no such folder."""
    return [status_of(SweepHome(folder)) for folder in _folders(storage)]


def status_of(home: SweepHome) -> SweepStatus:
    """One sweep; a record that cannot be read is an `error`. Raises UserError if there is no such sweep."""
    status = SweepStatus(home.name, str(home.folder))
    try:
        if is_held(home):
            status = dataclasses.replace(status, state="running")
        if not home.has_record:
            if not status.is_running:
                names = [folder.name for folder in _folders(home.folder.parent)]
                raise unknown_sweep(home.name, names, home.folder.parent)
            return dataclasses.replace(status, stage="starting")
        changed = datetime.datetime.fromtimestamp(home.record.stat().st_mtime)
        status = dataclasses.replace(status, changed=_local(changed))
    except OSError as error:
        return dataclasses.replace(status, error=f"{home.folder}: cannot be read ({error.strerror})")
    try:
        record = read_record(home.record)
    except UserError as error:
        return dataclasses.replace(status, error=str(error))
    try:
        return _with_record(status, home, record)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:  # not of this version's form
        line = f"{home.record}: damaged, or the record of another version ({type(error).__name__}: {error})"
        return dataclasses.replace(status, error=" ".join(line.split()))


def _folders(storage: Path) -> list[Path]:
    try:
        if not storage.is_dir():
            raise UserError(f"--storage {str(storage)!r}: expected a folder with sweeps; there is none")
        begun = {path.parent for path in storage.glob(f"*/{RECORD}")}
        return sorted(begun | {path.parent for path in storage.glob("*/.lock") if _is_held(SweepHome(path.parent))})
    except OSError as error:
        raise UserError(f"--storage {str(storage)!r}: cannot be read ({error.strerror})") from error


def _is_held(home: SweepHome) -> bool:
    """The same as `is_held`, for folders that may be no sweep's: a lock that cannot be opened is not held."""
    try:
        return is_held(home)
    except OSError:
        return False


def _with_record(status: SweepStatus, home: SweepHome, record: RecordFile) -> SweepStatus:
    attributes = record.attributes
    plan, ended = attributes["plan"], attributes.get(ENDED) or {}
    settings = with_moved_paths(attributes["settings"], home.folder.parent)
    stage, code = attributes.get(STAGE) or {}, ended.get("code")
    started = record.started or (datetime.datetime.fromisoformat(stage["started"]) if stage else None)
    current_stage = _stage(record)
    left = None
    if status.is_running and current_stage == stage.get("name") and not is_table(plan):
        left = seconds_left(attributes, plan["base"]["epochs"], datetime.datetime.now(datetime.UTC))
    results = _results(home.results)
    is_damaged = results is None and home.results.exists() and not is_table(plan)
    results = None if is_being_extended(attributes) else results
    guess = _guess_state(record, has_results=home.results.exists() if is_table(plan) else results is not None)
    state = status.state if status.is_running else STATES.get(code, "") or guess
    table = home.folder / "baselines.csv" if is_table(plan) else home.table
    files = {"record": home.record, "results": home.results, "table": table, "report": home.report}
    if figures := home.class_figures():
        files["figure"] = figures[0]
    damage = f"{home.results.name} cannot be read; a resume writes it again" if is_damaged else ""
    run = {field.name: settings[field.name] for field in dataclasses.fields(RunSettings) if field.name in settings}
    return dataclasses.replace(
        status,
        state=state,
        script=plan["script"],
        scale=plan["scale"],
        metric=None if is_table(plan) else metric_of(plan),
        data=_data(plan),
        stage=None if state == "complete" else current_stage,
        started=_local(started) if started else None,
        seconds_left=left,
        reason="" if status.is_running else "; ".join(filter(None, [ended.get("reason"), damage])),
        failures=[] if status.is_running else ended.get("failures", []),
        counts=counts(record),
        best=best_so_far(record),
        confirmed=confirmed_configurations(record),
        results=results,
        test_openings=attributes.get("test_openings") or [],
        files={name: str(path) for name, path in files.items() if path.exists()},
        mlflow=settings["tracking_uri"],
        resume=resume_command(plan["script"], RunSettings(**{**run, "name": None, "resume": None}), home.name),
    )


def _stage(record: RecordFile) -> str:
    """The stage that is not on record yet, or not as a whole."""
    attributes, plan = record.attributes, record.attributes["plan"]
    if is_table(plan):
        return "baselines"
    openings = attributes.get("test_openings") or []
    if attributes.get("test") or len(openings) > openings_before_extension(attributes.get(EXTENSIONS)):
        return "final"
    if plan["space"]["ranges"] and not attributes.get("searched"):
        return "search"
    if record.searches and (attributes.get(STAGE) or {}).get("name") != "confirm":
        done = all(each.get("searched") for each in record.searches)
        return (
            "confirm by class" if done and len(record.searches) == len(plan["base"]["classes"]) else "search by class"
        )
    return "confirm"


def _guess_state(record: RecordFile, *, has_results: bool) -> str:
    """The state of a sweep whose last driver has not noted how it ended: it was killed, or of an older version."""
    attributes, found_counts = record.attributes, counts(record)
    if is_table(attributes["plan"]):
        return "complete" if found_counts["tried"] == found_counts["planned"] and has_results else "interrupted"
    if not (attributes.get("test") and attributes.get("inspected", True) and has_results):
        return "interrupted"
    return "failed" if found_counts.get("failed") else "complete"


def _data(plan: Mapping[str, Any]) -> list[str]:
    configs = plan["configs"].values() if is_table(plan) else [plan["base"]]
    return list(dict.fromkeys(config["dataset"] for config in configs))


def _results(path: Path) -> dict[str, Any] | None:
    """The winner's intervals and the sentence of a finished sweep; None if there are none that can be read."""
    try:
        results = json.loads(path.read_text())
        per_class = {"per_class": results["per_class"]["sentence"]} if "per_class" in results else {}
        return {name: results[name] for name in ("winner", "confirm", "test", "sentence")} | per_class
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _local(time: datetime.datetime) -> str:
    return time.astimezone().isoformat(timespec="seconds")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
