"""Session: what the stages of a running sweep work with."""

from __future__ import annotations

import dataclasses

import optuna

from sweeps.engine.live.display import Display
from sweeps.engine.machine.interrupt import Interrupt
from sweeps.engine.machine.resources import Resources
from sweeps.engine.record.home import SweepHome
from sweeps.engine.tracking.outbox import Outbox

__all__ = ["Session"]


@dataclasses.dataclass(frozen=True)
class Session:
    """study: the record, in `home`; command: resumes the sweep; resources: of a trial."""

    study: optuna.Study
    home: SweepHome
    command: str
    resources: Resources
    interrupt: Interrupt
    outbox: Outbox
    display: Display
