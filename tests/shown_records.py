"""Records as a driver leaves them, for what shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.study import open_study
from sweeps.engine.show.main import main


def begun(folder: Path, plan: Plan, **attributes: Any) -> SweepRecord:
    """A sweep's folder with a record as a driver makes it."""
    folder.mkdir(parents=True)
    settings = SweepSettings(scale="smoke", storage=str(folder.parent.resolve()), name=folder.name)
    study = open_study(folder / "study.db", create=True)
    for key, value in {"plan": plan.as_record(), **plan.resolved_settings(settings), **attributes}.items():
        study.set_user_attr(key, value)
    return SweepRecord(study, plan, path=folder / "study.db")


def better_with_number(number: int, index: int, epoch: int) -> float:
    return 0.5 + number / 100 + epoch / 1000


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code and output of the command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err
