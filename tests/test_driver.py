"""The driver and its stages end with the right exit code, whenever a signal comes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from adcore.errors import UserError
from sweeps.engine import driver, stage_runner
from sweeps.engine.live.display import Display
from sweeps.engine.machine.interrupt import Interrupt
from sweeps.engine.machine.resources import THIS_PROCESS
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.ladder_search import LadderSearch
from sweeps.engine.session import Session
from sweeps.engine.stage_runner import StageRunner
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.tracking.outbox import Outbox
from tests.sweep_parts import Sweep, record_of, small_plan


def test_a_signal_while_ray_shuts_down_does_not_change_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def cluster(_settings: object) -> Generator[None]:
        yield
        raise KeyboardInterrupt

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(driver, "ray_cluster", cluster)
    monkeypatch.setattr(driver, "code_has_changed", lambda: False)
    monkeypatch.setattr(driver, "resources_of_cluster", lambda _: THIS_PROCESS)
    monkeypatch.setattr(driver, "check_mlflow", full)
    home = SweepHome(tmp_path)
    home.record.touch()
    code = driver.drive(
        small_plan(), SweepSettings(), home, {}, Interrupt(()), lambda _: pytest.fail("it began"), started=0.0
    )
    assert code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "the sweep cannot start: the disk is full\n"


@pytest.mark.parametrize(
    ("has_record", "is_extended", "said"),
    [
        (False, False, "interrupted while it started\n"),
        (True, False, "--resume mine --time-limit 12m --storage"),
        (True, True, "--extend mine --configs 64 --time-limit 12m --storage"),
    ],
)
def test_a_sweep_that_is_stopped_while_ray_starts_says_how_to_repeat_the_call(
    has_record: bool, is_extended: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def stopped(_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "ray_cluster", stopped)
    home = SweepHome(tmp_path / "mine")
    home.folder.mkdir()
    if has_record:
        home.record.touch()
    settings = SweepSettings(storage=str(tmp_path), configs=64, time_limit=720.0)
    code = driver.drive(
        small_plan(), settings, home, {}, Interrupt(()), lambda _: pytest.fail("it began"),
        started=0.0, is_extended=is_extended,
    )  # fmt: skip
    assert code == 130
    assert said in capsys.readouterr().out


def test_workers_do_not_run_other_code_than_the_driver_if_files_change_while_the_sweep_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "ray_cluster", nullcontext)
    monkeypatch.setattr(driver, "code_has_changed", lambda: True)
    with pytest.raises(UserError, match="source files changed while the sweep started"):
        driver.drive(
            small_plan(), SweepSettings(), SweepHome(tmp_path), {}, Interrupt(()), lambda _: pytest.fail("it began"),
            started=0.0,
        )  # fmt: skip


@pytest.mark.parametrize("trials", [1, None])
def test_a_search_that_tune_itself_cut_short_does_not_count_as_complete(
    trials: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = small_plan(configs=4, epochs=2)
    record = record_of(plan)
    search = LadderSearch("search", [record], limit=1, slots=1)
    sweep = Sweep(record, lambda number, index, epoch: 0.5 + number / 100, search=search)

    def run_tune(*_: Any, **__: Any) -> None:
        sweep.run(trials)

    monkeypatch.setattr(stage_runner, "run_tune", run_tune)
    display, outbox = Display(Console(file=StringIO())), Outbox(tmp_path / "outbox.db")
    study = optuna.create_study()
    session = Session(study, SweepHome(tmp_path), "true", THIS_PROCESS, Interrupt(()), outbox, display)
    stages = StageRunner(plan, SweepSettings(), session, [record])
    if trials is None:
        stages.train(search, lambda: None, total=1)
    else:
        with pytest.raises(KeyboardInterrupt):
            stages.train(search, lambda: None, total=1)
