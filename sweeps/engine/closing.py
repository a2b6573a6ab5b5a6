"""The end of a sweep: the last that MLflow is told, what it has not taken, and the command that goes on."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress

from sweeps.engine.machine.code import has_changed
from sweeps.engine.machine.storage import StorageError
from sweeps.engine.stage_runner import INTERRUPTED, StageRunner
from sweeps.engine.tracking.writer import MlflowWriter

__all__ = ["close", "say_how_to_go_on"]


def close(writer: MlflowWriter, stages: StageRunner) -> None:
    """Deliver what is left, until a signal cuts that short; after a second Ctrl-C nothing more is waited for."""
    with suppress(KeyboardInterrupt):
        stages.display.end()
        if stages.is_gone:
            writer.abandon()
        elif stages.interrupt.count < 2:
            writer.close()


def say_how_to_go_on(stages: StageRunner, writer: MlflowWriter, code: int) -> None:
    """Every command that is printed works as things are now. code: the sweep's exit code."""
    if stages.is_gone:
        print(f"its record is gone from {stages.home}: it cannot be resumed; begin a new sweep", file=sys.stderr)
        return
    command = stages.command if writer.is_done else _say_what_waits(writer, stages.command)
    if code == INTERRUPTED:
        stages.display.print(f"interrupted; go on with:\n  {command}")
    elif stages.broken:
        stages.display.print(f"when it can be written again, go on with:\n  {command}")
    if has_changed():
        print("the code's files have changed since: what the driver loaded late is of the new ones", file=sys.stderr)


def _say_what_waits(writer: MlflowWriter, command: str) -> str:
    """No failure of the sweep: it can still be delivered. Returns the command that goes on."""
    print(f"MLflow at {writer.uri} did not take everything: {writer.reason}", file=sys.stderr)
    queue = writer.outbox.path
    try:
        waiting, lacks_runs = f"{len(writer.outbox)} updates wait in {queue}", writer.lacks_runs
    except StorageError:  # it is said already
        return command
    if not lacks_runs:
        print(f"{waiting}; deliver them with: {command}", file=sys.stderr)
        return command
    command = f"mv {shlex.quote(str(queue))} {shlex.quote(f'{queue}.away')} && {command}"  # else it would be refused
    print(f"{waiting} until its runs are back; go on without them: {command}", file=sys.stderr)
    return command
