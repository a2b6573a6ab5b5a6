"""Train the table of baselines; called by sweeps/baselines.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeps.engine.baselines.plan import BaselinePlan, BaselineSettings, plan_baselines, rows_in_words
from sweeps.engine.baselines.rows import Baseline
from sweeps.engine.planning.base_plan import Data
from sweeps.engine.record.home import SweepHome
from sweeps.engine.show.record_file import read_record
from sweeps.engine.sweep import Script, launch

if TYPE_CHECKING:
    from sweeps.engine.baselines.stages import BaselineStages
    from sweeps.engine.session import Session

__all__ = ["main"]


def main(script: str, text: str, rows: Sequence[Baseline], argv: Sequence[str] | None = None) -> None:
    """Parse argv and train the rows. Exits with 0 if all are complete, 1 with failed trials, 2 for bad input."""
    table = Script(
        script,
        BaselineSettings,
        make_plan=lambda settings, _: plan_baselines(script, settings, rows),
        in_words=_in_words,
        make_stages=_make_stages,
    )
    launch(table, text, argv)


def _in_words(plan: BaselinePlan, settings: BaselineSettings, home: SweepHome, is_extended: bool) -> str:
    return rows_in_words(plan, settings, read_record(home.record).attributes if settings.resume else None)


def _make_stages(plan: BaselinePlan, settings: BaselineSettings, session: Session, data: Data) -> BaselineStages:
    from sweeps.engine.baselines.stages import BaselineStages

    return BaselineStages(plan, settings, session, data)
