"""Session: what one call of a sweep's command has made, for its stages."""

from __future__ import annotations

import dataclasses
import time

import optuna

from sweeps.engine.live.display import Display
from sweeps.engine.machine.interrupt import Interrupt
from sweeps.engine.machine.resources import Resources
from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.copies import RecordCopies
from sweeps.engine.tracking.outbox import Outbox

__all__ = ["Session"]


@dataclasses.dataclass(frozen=True)
class Session:
    """What one call of a sweep's command has made, for its stages.

    study: the record, in `home`. command: resumes the sweep. resources: of a trial. started: when the command began, by
    time.monotonic(). limit: seconds that the sweep may run, if it has a limit. copies: of the record, if the home has a
    store.
    """

    study: optuna.Study
    home: SweepHome
    command: str
    resources: Resources
    interrupt: Interrupt
    outbox: Outbox
    display: Display
    started: float = dataclasses.field(default_factory=time.monotonic)
    limit: float | None = None
    copies: RecordCopies | None = None
