"""The commands that a sweep prints: they work in any folder."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from adcore.options import flag_of
from sweeps.engine.machine.code import ROOT
from sweeps.engine.machine.locations import SQLITE, database_path
from sweeps.engine.planning.run_settings import RunSettings

__all__ = [
    "FROM_PYTHON",
    "LIMITS",
    "PLACES",
    "SUBMIT",
    "browse_command",
    "flag_words",
    "mlflow_command",
    "origin",
    "python",
    "repeat_command",
    "resume_command",
    "script_command",
]

#: In place of a script's name, for a sweep that Python code began: of its experiment in MLflow, too.
FROM_PYTHON = "notebook"
#: Runs a script of the current folder as a Ray job.
SUBMIT = "ray job submit --working-dir . -- env PYTHONPATH=. python"
#: The folder where Ray keeps the code that a job came with, until it deletes it.
UPLOADED = "working_dir_files"
#: Settings that a resume needs again if they are not the defaults.
PLACES = ("storage", "checkpoints", "tracking_uri", "address", "data_dir")
#: Settings that a resume may change, and that decide all the same how much is searched; a sweep has one of them.
LIMITS = ("time_limit", "gpu_hours")
#: Units of a time, the largest first, in seconds.
UNITS = {"d": 86400, "h": 3600, "m": 60}


def origin(script: str) -> str:
    """What starts sweeps of this script, in a sentence."""
    return "Python code" if script == FROM_PYTHON else f"sweeps/{script}.py"


def resume_command(script: str, settings: RunSettings, name: str, **changes: Any) -> str:
    """The command that resumes this sweep; for one that Python code began, the call. changes: other settings for it."""
    return _continue_command(script, settings, {"resume": name, **changes})


def repeat_command(script: str, settings: RunSettings, name: str, *, is_extended: bool) -> str:
    """The command that continues a call which was interrupted before its limits and its purpose were on record."""
    given = {each: value for each in (*LIMITS, "open_test_again") if (value := getattr(settings, each, None))}
    going_on = {"extend": name, "configs": getattr(settings, "configs", None)} if is_extended else {"resume": name}
    return _continue_command(script, settings, {**going_on, **given})


def _continue_command(script: str, settings: RunSettings, given: Mapping[str, Any]) -> str:
    places = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name in PLACES and getattr(settings, field.name) != field.default
    }
    flags = {**given, **places}
    if script == FROM_PYTHON:
        return f"sweep(space, {', '.join(f'{key}={value!r}' for key, value in flags.items())})"
    words = [word for key, value in flags.items() for word in flag_words(key, value)]
    if ROOT.parent.name == UPLOADED:
        return f"{SUBMIT} sweeps/{script}.py {shlex.join(words)}"
    return script_command(script, words)


def flag_words(name: str, value: Any) -> list[str]:
    """The words that give a setting; a list's items one by one."""
    flag = flag_of(name)
    if value is True:
        return [flag]
    if name == "time_limit":
        return [flag, _time(value)]
    if not isinstance(value, list):
        return [flag, str(value)]
    texts = [str(each) for each in cast("list[object]", value)]
    return [flag, ",".join(texts)] if name == "normal_class" else [word for text in texts for word in (flag, text)]


def script_command(script: str, words: Sequence[str]) -> str:
    """The command that runs a script of sweeps/ on this machine; within a Ray job, from the folder with the code."""
    if ROOT.parent.name == UPLOADED:
        return shlex.join(["python", f"sweeps/{script}.py", *words])
    return shlex.join([python(), str(ROOT / "sweeps" / f"{script}.py"), *words])


def browse_command(uri: str) -> str:
    """The command that shows a database in MLflow, or the address of a server to open."""
    if not uri.startswith(SQLITE):
        return uri
    return script_command("ui", ["--tracking-uri", uri])


def mlflow_command(uri: str, command: str) -> str:
    """A command of MLflow for the shell, with an address in place of {uri}."""
    if uri.startswith(SQLITE) and uri != f"{SQLITE}{(path := database_path(uri))}":
        # given the full address, MLflow creates a folder with the name as it is encoded
        start, uri = f"cd {shlex.quote(str(path.parent))} && ", f"{SQLITE}{path.name}"
    else:
        start = ""
    return start + command.format(uri=shlex.quote(uri))


def _time(seconds: float) -> str:
    """A time as --time-limit reads it."""
    return next(
        (f"{seconds / each:.0f}{unit}" for unit, each in UNITS.items() if seconds % each == 0), f"{seconds:.10g}s"
    )


def python() -> str:
    """The command of this Python for the shell: "python" if that leads to it, else its path."""
    found_path = shutil.which("python")
    return "python" if found_path and Path(found_path).parent == Path(sys.executable).parent else sys.executable
