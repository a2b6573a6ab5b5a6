"""SweepStatus: one sweep as its folder shows it at this moment."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adcore.errors import UserError, unknown_name
from sweeps.engine.machine.commands import resume_command
from sweeps.engine.machine.locations import with_moved_paths
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.home import RECORD, SweepHome
from sweeps.engine.record.lock import is_held
from sweeps.engine.record.progress import ENDED, STAGE, seconds_left
from sweeps.engine.show.counts import best_so_far, confirmed, counts, is_table, metric_of
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
    shown = SweepStatus(home.name, str(home.folder))
    try:
        if is_held(home):
            shown = dataclasses.replace(shown, state="running")
        if not home.has_record:
            if not shown.is_running:
                names = [folder.name for folder in _folders(home.folder.parent)]
                raise unknown_name("sweep", home.name, names or [f"none in {home.folder.parent}"])
            return dataclasses.replace(shown, stage="starting")
        changed = datetime.datetime.fromtimestamp(home.record.stat().st_mtime)
        shown = dataclasses.replace(shown, changed=_local(changed))
    except OSError as error:
        return dataclasses.replace(shown, error=f"{home.folder}: cannot be read ({error.strerror})")
    try:
        record = read_record(home.record)
    except UserError as error:
        return dataclasses.replace(shown, error=str(error))
    try:
        return _described(shown, home, record)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:  # not of this version's form
        line = f"{home.record}: damaged, or the record of another version ({type(error).__name__}: {error})"
        return dataclasses.replace(shown, error=" ".join(line.split()))


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


def _described(shown: SweepStatus, home: SweepHome, record: RecordFile) -> SweepStatus:
    known = record.attributes
    plan, ended = known["plan"], known.get(ENDED) or {}
    settings = with_moved_paths(known["settings"], home.folder.parent)
    stage, code = known.get(STAGE) or {}, ended.get("code")
    started = record.started or (datetime.datetime.fromisoformat(stage["started"]) if stage else None)
    now_at = _stage(record)
    left = None
    if shown.is_running and now_at == stage.get("name") and not is_table(plan):
        left = seconds_left(known, plan["base"]["epochs"], datetime.datetime.now(datetime.UTC))
    state = shown.state if shown.is_running else STATES.get(code, "") or _guessed(home, record)
    table = home.folder / "baselines.csv" if is_table(plan) else home.table
    files = {"record": home.record, "results": home.results, "table": table}
    if figures := home.class_figures():
        files["figure"] = figures[0]
    run = {field.name: settings[field.name] for field in dataclasses.fields(RunSettings) if field.name in settings}
    return dataclasses.replace(
        shown,
        state=state,
        script=plan["script"],
        scale=plan["scale"],
        metric=None if is_table(plan) else metric_of(plan),
        data=_data(plan),
        stage=None if state == "complete" else now_at,
        started=_local(started) if started else None,
        seconds_left=left,
        reason="" if shown.is_running else ended.get("reason", ""),
        failures=[] if shown.is_running else ended.get("failures", []),
        counts=counts(record),
        best=best_so_far(record),
        confirmed=confirmed(record),
        results=_results(home.results),
        test_openings=known.get("test_openings") or [],
        files={name: str(path) for name, path in files.items() if path.exists()},
        mlflow=settings["tracking_uri"],
        resume=resume_command(plan["script"], RunSettings(**{**run, "name": None, "resume": None}), home.name),
    )


def _stage(record: RecordFile) -> str:
    """The stage that is not on record yet, or not as a whole."""
    known, plan = record.attributes, record.attributes["plan"]
    if is_table(plan):
        return "baselines"
    if known.get("test_openings"):
        return "final"
    if plan["space"]["ranges"] and not known.get("searched"):
        return "search"
    if record.searches:
        done = all(each.get("searched") for each in record.searches)
        return (
            "confirm by class" if done and len(record.searches) == len(plan["base"]["classes"]) else "search by class"
        )
    return "confirm"


def _guessed(home: SweepHome, record: RecordFile) -> str:
    """The state of a sweep whose last driver has not noted how it ended: it was killed, or of an older version."""
    known, found = record.attributes, counts(record)
    if is_table(known["plan"]):
        return "complete" if found["tried"] == found["planned"] and home.results.exists() else "interrupted"
    if not (known.get("test") and known.get("inspected", True) and home.results.exists()):
        return "interrupted"
    return "failed" if found.get("failed") else "complete"


def _data(plan: Mapping[str, Any]) -> list[str]:
    configs = plan["configs"].values() if is_table(plan) else [plan["base"]]
    return list(dict.fromkeys(config["dataset"] for config in configs))


def _results(path: Path) -> dict[str, Any] | None:
    """The winner's intervals and the sentence of a finished sweep; None if there are none that can be read."""
    try:
        found = json.loads(path.read_text())
        own = {"per_class": found["per_class"]["sentence"]} if "per_class" in found else {}
        return {name: found[name] for name in ("winner", "confirm", "test", "sentence")} | own
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
