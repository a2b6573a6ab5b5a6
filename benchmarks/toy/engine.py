"""A search's engine as the driver of a sweep sets it up: record, Optuna, MLflow's outbox and writer, display."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from mlflow.tracking import MlflowClient
from rich.console import Console

from sweeps.engine.driver import FILE_WIDTH
from sweeps.engine.live.display import Display
from sweeps.engine.machine.interrupt import Interrupt
from sweeps.engine.machine.locations import database_uri
from sweeps.engine.machine.resources import Resources
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.study import open_record
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.session import Session
from sweeps.engine.stages import Stages
from sweeps.engine.tracking.outbox import Outbox
from sweeps.engine.tracking.store import connect
from sweeps.engine.tracking.writer import MlflowWriter
from sweeps.gan_loss_weights import SPACE

__all__ = ["Engine", "engine", "plan_of"]

SCRIPT = "gan_loss_weights"
#: Trials that train nothing need no images.
_NO_IMAGES: Any = SimpleNamespace(labels=())


@dataclasses.dataclass(frozen=True)
class Engine:
    """stages: of the sweep; search: not yet begun. calls: of MLflow's client, by name, so far."""

    stages: Stages
    search: LadderSearch
    writer: MlflowWriter
    calls: Counter[str]

    def run(self, trainable: Callable[[dict[str, Any]], None]) -> None:
        """Search to the end."""
        ladder = self.stages.record.ladder
        self.stages.tell_ended(self.search)
        self.stages.train(self.search, trainable, total=ladder.budget, done_before=ladder.spent)


def plan_of(settings: SweepSettings) -> Plan:
    """The plan of a sweep over all classes of Fashion-MNIST."""
    return make_plan(SCRIPT, settings, SPACE)


@contextlib.contextmanager
def engine(database: Path, settings: SweepSettings, *, slots: int) -> Generator[Engine]:
    """The engine of a new sweep, whose files are gone afterwards, apart from what MLflow has in its database.

    slots: trials at a time, of one configuration each.
    """
    with tempfile.TemporaryDirectory(dir=database.parent, ignore_cleanup_errors=True) as folder:
        yield from _engine(Path(folder), database, settings, slots)


def _engine(folder: Path, database: Path, settings: SweepSettings, slots: int) -> Iterator[Engine]:
    home, plan, calls = SweepHome(folder / "toy"), plan_of(settings), Counter[str]()
    home.folder.mkdir()
    study = open_record(home, plan, {**plan.resolved_settings(settings), "data": {}})
    sweep_id = study.user_attrs["sweep_id"]
    outbox, display = Outbox(home.outbox(sweep_id)), Display(Console(width=FILE_WIDTH, file=io.StringIO()))
    session = Session(study, home, "", Resources(cpus=1, gpus=0, slots=slots), Interrupt(()), outbox, display)
    connect(uri := database_uri(database), SCRIPT)
    stages = Stages(plan, settings, session, _NO_IMAGES)
    search = LadderSearch("search", [stages.record], limit=1, slots=slots)
    with mock.patch("mlflow.tracking.MlflowClient", partial(_Counted, calls)):
        writer = MlflowWriter(uri, SCRIPT, sweep_id, outbox)
        try:
            yield Engine(stages, search, writer, calls)
        finally:
            writer.close(patience=0)


class _Counted:
    """MLflow's client; counts its calls by name."""

    def __init__(self, calls: Counter[str], *given: Any, **named: Any) -> None:
        self.client, self.calls = MlflowClient(*given, **named), calls

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self.client, name)
