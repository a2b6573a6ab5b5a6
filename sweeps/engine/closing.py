"""The last lines of a sweep: what MLflow has not taken, and the command that goes on."""

from __future__ import annotations

import shlex
import sys

from sweeps.engine.code import has_changed
from sweeps.engine.mlflow_writer import MlflowWriter
from sweeps.engine.runner import INTERRUPTED, StageRunner

__all__ = ["say_how_to_go_on"]


def say_how_to_go_on(stages: StageRunner, writer: MlflowWriter, code: int, *, is_delivered: bool) -> None:
    """Every command that is printed works as things are now. code: the sweep's exit code."""
    command = stages.command if is_delivered else _say_what_waits(writer, stages.command)
    if code == INTERRUPTED:
        stages.display.print(f"interrupted; go on with:\n  {command}")
    elif stages.broken:
        stages.display.print(f"when it can be written again, go on with:\n  {command}")
    if has_changed():
        print("the code's files have changed since: what the driver loaded late is of the new ones", file=sys.stderr)


def _say_what_waits(writer: MlflowWriter, command: str) -> str:
    """No failure of the sweep: it can still be delivered. Returns the command that goes on."""
    print(f"MLflow at {writer.uri} did not take everything: {writer.reason}", file=sys.stderr)
    queue, waiting = writer.outbox.path, f"{len(writer.outbox)} updates wait in {writer.outbox.path}"
    if not writer.lacks_runs:
        print(f"{waiting}; deliver them with: {command}", file=sys.stderr)
        return command
    command = f"mv {shlex.quote(str(queue))} {shlex.quote(f'{queue}.away')} && {command}"  # else it would be refused
    print(f"{waiting} until its runs are back; go on without them: {command}", file=sys.stderr)
    return command
